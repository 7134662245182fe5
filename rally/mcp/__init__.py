"""The room for agents that speak the Model Context Protocol: `rally mcp`, on standard input and output.

A door like the daemon's: it puts words into operations and answers back into words, and decides
nothing. It reaches the room as every program does, through `rally.client`.
"""
