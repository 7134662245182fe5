"""What is known of the command lines of agents: one small file each."""
