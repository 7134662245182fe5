"""Putting rally into a repository and into the configuration of agents, and taking it out again.

Everything but `files.py` and `backups.py` is text in, text out. Every byte that is not rally's
stays as it was: files are never parsed and written anew, they are spliced.
"""
