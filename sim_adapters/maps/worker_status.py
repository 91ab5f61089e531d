"""How map workers end when their document is no usable map."""

UNUSABLE_STATUS = 3  # the reason is the last line of their standard error
