"""Benchmarks of `tfrec bench`, one a file: a function `run(arguments)` that returns rows."""
