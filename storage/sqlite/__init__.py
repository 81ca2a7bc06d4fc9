"""audit.db: the record in one SQLite file. The recorder alone writes it; everybody else opens it read-only."""
