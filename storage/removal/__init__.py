"""What is taken out of audit.db: by erasure, by retention; what stays in its place, and what holds keep."""
