"""The express lane: reverse traffic on an HTTP/1.1 plane of our own, with mitmproxy's flows, addons and hooks."""
