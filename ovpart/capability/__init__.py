"""May this node run on this device? The answer, with its reason, its line of the table, and what to do about it."""
