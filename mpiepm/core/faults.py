"""Faults on the way that all ranks raise together, whose message is all that people need: what, where, when."""


class RunError(Exception):
    """The run cannot go on; its newest checkpoint can."""


class WriteError(RunError, OSError):
    """A file cannot be written."""


class SickRunError(RunError, FloatingPointError):
    """The numbers are no longer those of the model."""
