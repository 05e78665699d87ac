"""DATA to batches: one file a view, and the synthetic log."""
