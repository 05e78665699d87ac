"""Fake histories: a generator writes on what users did, and the result is a dataset to train on."""
