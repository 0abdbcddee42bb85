"""What sessions of one process share, where they ask for it."""
