"""The guard in git's hooks: who commits, and how the hooks are put in and taken out."""
