"""Refusals as the official SDKs show them: a real gateway, the vendors' own clients, nothing in between but a count."""
