"""Policies that come with the package: `checkpoint=pretrained/NAME` in every command.

Each is one file NAME.pt of this project's own format (weights and config, loaded with
`weights_only=True`) beside a card NAME.md that says what it is and where it fails.
"""

from __future__ import annotations

from pathlib import Path

PREFIX = "pretrained"


def shipped_names() -> list[str]:
    """Names of the policies in the package."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.pt"))


def shipped_or_own(path: Path) -> Path:
    """The file that `pretrained/NAME` means; any other path, or one that exists, as it is."""
    if path.exists() or path.parent != Path(PREFIX):
        return path
    return Path(__file__).parent / f"{path.name.removesuffix('.pt')}.pt"
