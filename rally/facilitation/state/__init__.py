"""The folded state of a room: what is live, never all of history."""
