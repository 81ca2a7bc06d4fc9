"""Whole roads: a real Sekisho, real clients, a provider of our own that remembers what it received."""
