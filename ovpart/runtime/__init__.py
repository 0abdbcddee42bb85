"""Stitches executables together: a topological scheduler. Knows executables, not engines."""
