"""Read-only views of the state and of the ledger; none of them writes."""
