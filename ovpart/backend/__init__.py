"""Adapters to the engines. Knows cuts, not plans."""
