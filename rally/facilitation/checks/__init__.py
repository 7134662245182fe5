"""Write boundaries: one pure function per finding (contract K1-K6)."""
