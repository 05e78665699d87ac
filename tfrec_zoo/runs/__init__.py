"""Runs: the configuration that a run is made of, and the directory that training writes and everything later reads."""
