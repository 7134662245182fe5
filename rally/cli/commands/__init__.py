"""The commands: each parses its words into a plan, nothing more."""
