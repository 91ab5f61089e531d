"""Opens a page in the browser of whoever sits here."""

from __future__ import annotations

import os
import sys
import webbrowser


def open_page(address: str) -> bool:
    """Open it, if there is a screen: without one Python finds browsers that fill the terminal."""
    is_x11 = sys.platform not in ("darwin", "win32")
    if is_x11 and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    return webbrowser.open(address)
