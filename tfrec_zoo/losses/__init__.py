"""Losses over the catalogue: from the vector of a position to the loss of its target."""
