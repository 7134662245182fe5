"""Keeping facts: the port, the SQLite and in-memory backends, verification, the checkpoint."""
