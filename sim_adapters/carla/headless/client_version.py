"""Which release a client library is of: a server must speak the protocol of whoever connects."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from importlib import metadata

# What differs on the wire between the CARLA versions that the server can speak.

DEFAULT_VERSION = "0.9.16"


@dataclass(frozen=True)
class WireVersion:
    """Numbers that moved between releases.

    Args:
        name: What `version` answers; the client compares it with its own.
        world_observer_index: Place of the world observer in the server's registry of sensors.
        first_attribute_type: Code of a Boolean blueprint attribute; int, float, string and
            colour follow.
    """

    name: str
    world_observer_index: int
    first_attribute_type: int


_VERSIONS = {
    "0.9.15": WireVersion("0.9.15", world_observer_index=16, first_attribute_type=0),
    DEFAULT_VERSION: WireVersion(DEFAULT_VERSION, world_observer_index=17, first_attribute_type=1),
}


def wire_version(name: str) -> WireVersion:
    """The version called `name`.

    Raises:
        ValueError: the server does not speak it.
    """
    if name not in _VERSIONS:
        raise ValueError(f"version {name!r} is not spoken here: use {' or '.join(_VERSIONS)}")
    return _VERSIONS[name]


_PACKAGE = "carla"
_RELEASE = re.compile(r"\d+\.\d+\.\d+")  # a rebuilt wheel may be called 0.9.15.post1
_QUESTION = f"from importlib import metadata; print(metadata.version({_PACKAGE!r}))"
_ANSWER_LIMIT_S = 60.0


def client_version(python: str | None = None) -> str:
    """Release of an interpreter's client library, as `wire_version` knows it.

    Args:
        python: The interpreter; None: that of this process.

    Raises:
        ValueError: it has no client library, or one whose protocol the server does not speak.
    """
    installed = _installed_here() if python is None else _installed_in(python)
    release = _RELEASE.match(installed)
    try:
        return wire_version(release.group() if release else installed).name
    except ValueError as error:
        raise ValueError(
            f"the client library carla {installed}{_of(python)} finds no headless server to talk "
            f"to: {error}, by pip install carla==VERSION; or set CARLA_ROOT to a CARLA of its own "
            "release"
        ) from None


def _installed_here() -> str:
    try:
        return metadata.version(_PACKAGE)
    except metadata.PackageNotFoundError:
        raise ValueError(_no_library(None)) from None


def _installed_in(python: str) -> str:
    command = [python, "-c", _QUESTION]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=_ANSWER_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ValueError(f"python={python} does not run: {error}") from None
    if answer.returncode != 0:
        raise ValueError(_no_library(python))
    return answer.stdout.strip()


def _no_library(python: str | None) -> str:
    return f"there is no CARLA client library{_of(python)}: pip install carla==0.9.16 there"


def _of(python: str | None) -> str:
    return "" if python is None else f" of {python}"
