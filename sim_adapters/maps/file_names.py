"""Ids that become parts of file names: names, never paths."""

from __future__ import annotations

import re

MAX_NAME_BYTES = 100  # file systems take 255, of which the rest of the name needs some
_NOT_IN_NAMES = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')


def checked_name(text: str, what: str) -> str:
    """An id that may stand in a file's name, as it is.

    Args:
        text: The id, e.g. of a route.
        what: Names it in messages.

    Raises:
        ValueError: it could lead to another folder, or no file system would take it.
    """
    if not text.strip() or text != text.strip() or text.startswith("."):
        problem = "begins with a dot or a blank" if text.strip() else "is empty"
    elif found := _NOT_IN_NAMES.search(text):
        problem = f"has {found[0]!r} in it"
    elif len(text.encode(errors="replace")) > MAX_NAME_BYTES:
        problem = f"is longer than {MAX_NAME_BYTES} bytes"
    else:
        return text
    shown = text if len(text) <= MAX_NAME_BYTES else f"{text[:40]}..."
    raise ValueError(
        f"{what} {shown!r} {problem}: ids become parts of file names, so give it a plain name"
    )
