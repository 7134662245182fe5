"""Calling an agent once: its command, and what its result record says. One small file each."""
