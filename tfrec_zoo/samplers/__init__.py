"""Samplers of negative items; ids are ranked by train frequency, so the rank is the column."""
