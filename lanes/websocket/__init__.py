"""WebSockets between a caller and a provider, the same on both lanes."""
