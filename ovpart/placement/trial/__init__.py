"""Trials: an engine compiles and runs a cluster, in another process where it might crash."""
