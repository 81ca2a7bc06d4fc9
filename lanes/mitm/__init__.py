"""The mitm lane: mitmproxy's own layers, for what must be opened first, and as the other half of every comparison."""
