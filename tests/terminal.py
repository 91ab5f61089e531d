"""A stand-in for a terminal, to read what a progress bar shows."""

import io
import re
import sys

import pytest


class Terminal(io.StringIO):
    """A terminal of 80 columns, without colors, in the place of stdout and stderr."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        for name, value in {"NO_COLOR": "1", "COLUMNS": "80", "TERM": "xterm"}.items():
            monkeypatch.setenv(name, value)
        for name in ("stdout", "stderr"):
            monkeypatch.setattr(sys, name, self)

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        """What was written, without control sequences; each state of the bar is a line."""
        plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.getvalue())
        return [line.rstrip() for line in re.split(r"[\r\n]+", plain) if line.strip()]
