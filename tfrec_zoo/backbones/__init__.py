"""Backbones: a sequence of items to hidden states."""
