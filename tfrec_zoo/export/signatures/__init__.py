"""Signatures of the SavedModel, one a file."""
