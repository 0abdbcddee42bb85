"""Faces of other libraries over ovpart: programs written for those run here with their import changed."""
