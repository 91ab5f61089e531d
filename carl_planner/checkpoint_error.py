"""CheckpointError, which the files and the policies in them share."""


class CheckpointError(RuntimeError):
    """A checkpoint cannot be written, read or used here."""
