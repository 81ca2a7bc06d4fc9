"""The nouns everybody speaks of. Frozen values; this room imports nothing of ours and does nothing."""
