"""The speed table of contract section 9: every figure a ratio taken in one run, its sides in turn."""
