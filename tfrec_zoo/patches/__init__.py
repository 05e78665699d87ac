"""Patches: a trained network adapted to a task by small layers of the task's own."""
