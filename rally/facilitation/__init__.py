"""Records facts, answers questions, checks write boundaries; starts no process (contract T2)."""
