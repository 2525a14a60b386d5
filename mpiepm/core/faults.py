"""Errors whose message is all that people need: what, where, when. Those of a run are raised on all ranks together."""


class RunError(Exception):
    """The run cannot go on; its newest checkpoint can."""


class WriteError(RunError, OSError):
    """A file cannot be written."""


class SickRunError(RunError, FloatingPointError):
    """The numbers are no longer those of the model."""


class ParameterError(ValueError):
    """Something the user wrote is wrong; the message says what, where, and what is allowed."""
