"""The WebSocket protocol (RFC 6455): frames and handshake. Pure: bytes in, messages out."""
