"""Workstreams: descriptors read and linted, packets made, progress summed up (contract W1 to W4)."""
