"""Values without I/O: facts, requests, errors, the clock, paths and durations."""
