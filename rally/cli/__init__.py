"""The command line: parsing with click, rendering text and JSON."""
