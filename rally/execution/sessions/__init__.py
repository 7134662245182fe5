"""Managed agents in tmux (contract X2): runners, which see the ledger only as any agent does.

tmux is asked through its own command line and never guessed at: what a pane is now is read from tmux
each time, what a session is called and whose it is from the ledger.
"""
