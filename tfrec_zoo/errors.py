"""What tfrec-zoo raises on purpose: a small hierarchy under `TfrecError`.

Every message says what was wrong, where (file, row, feature, key) and what to do next; the command line prints it as
one line and exits with status 1. Standard library only: Beam workers import this module too.
"""


class TfrecError(Exception):
    """Base of every error that a user can act on."""


class DataError(TfrecError):
    """A log or a dataset directory is missing, damaged, empty or of another format version."""


class ConfigError(TfrecError):
    """A configuration key is unknown, or a value has the wrong type or lies out of its range."""


class TrainingError(TfrecError):
    """A training run cannot go on: a non-finite loss, or a run directory of another model or dataset."""


class EvaluationError(TfrecError):
    """Scores cannot be ranked (not finite, not of the catalogue's width), or the figures cannot be written."""


class ExportError(TfrecError):
    """A SavedModel cannot be written, or does not answer as the live model does."""
