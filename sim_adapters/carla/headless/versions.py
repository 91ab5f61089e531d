"""What differs on the wire between the CARLA versions that the server can speak."""

from __future__ import annotations

from dataclasses import dataclass

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
