"""Programs that call LLM APIs: what they read to come through Sekisho, and whether they trust it."""
