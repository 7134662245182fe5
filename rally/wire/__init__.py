"""What the hot path may import: framing, names and places. Standard library only."""
