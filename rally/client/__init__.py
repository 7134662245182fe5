"""The way to the ledger for programs and runners: through the daemon's socket."""
