"""Anthropic's APIs: Messages, the older Text Completions, token counting and batches."""
