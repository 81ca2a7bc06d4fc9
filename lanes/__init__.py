"""How bytes arrive and leave: the express lane (a plane of our own) and the mitm lane (mitmproxy's own layers)."""
