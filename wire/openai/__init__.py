"""OpenAI's APIs, and what the servers that speak like it make of them: one file an API."""
