"""What is written to files and read back: compiled models, IR, plans written on models."""
