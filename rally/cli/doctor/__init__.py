"""`rally doctor`: what it looks at, a file for each part of the surroundings."""
