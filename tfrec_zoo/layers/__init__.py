"""Layers, one concept a file; they know nothing of data or tasks."""
