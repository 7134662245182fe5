"""The boundary sentinel: sees what is written in a room's working trees, and on whose claims."""
