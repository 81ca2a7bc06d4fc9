"""The offline half: journal → understood → stored. One process, the only writer of audit.db."""
