"""Evaluation: one scoring pass over the catalogue, ranks, baselines, tables."""
