"""Metrics: pure numpy functions of ranks, of recommended lists, or of one value a user."""
