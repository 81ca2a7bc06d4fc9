"""Ollama's own API: newline-delimited JSON that streams unless it is told not to."""
