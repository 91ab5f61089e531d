"""Says which signals of a map have no effect here, so that nothing is dropped without a word."""

from __future__ import annotations

from collections import Counter

from sim_adapters.maps.lane_places import MAX_APPROACH_M
from sim_adapters.maps.opendrive_document import (
    LIGHT_TYPES,
    LIMIT_TYPE,
    STOP_TYPE,
    YIELD_TYPE,
    OpenDriveDocument,
)
from sim_adapters.maps.traffic_lights import TrafficLights
from sim_adapters.maps.traffic_signs import TrafficSigns
from sim_adapters.scene.map_bank import SignKind

_MOST_NAMED = 5  # ids or types in one line


def describe_left_out(
    document: OpenDriveDocument, lights: TrafficLights, signs: TrafficSigns
) -> list[str]:
    """One line for each kind of signal that is in the file and not in the map's tables."""
    kinds = document.signal_types
    kept = set(lights.names)
    in_file = [sign_id for sign_id, kind in kinds.items() if kind in LIGHT_TYPES]
    unreached = [sign_id for sign_id in in_file if sign_id not in kept]
    lines = []
    if unreached:
        lines.append(
            f"{len(unreached)} of {len(in_file)} traffic lights govern no lane that enters a "
            f"junction within {MAX_APPROACH_M:g} m and are left out ({_some(unreached)})"
        )
    strange = Counter(
        kind
        for sign_id, kind in kinds.items()
        if sign_id in document.dynamic_signals and kind not in LIGHT_TYPES
    )
    if strange:
        types = [f"type {kind!r}: {count}" for kind, count in strange.items()]
        lines.append(
            f"{strange.total()} dynamic signals are of no type that CARLA takes for a traffic "
            f"light and are left out ({_some(types)})"
        )
    lines += _unread_signs(document, signs)
    return lines


def _unread_signs(document: OpenDriveDocument, signs: TrafficSigns) -> list[str]:
    """Stop, yield and limit signs of which none has an effect."""
    kinds = document.signal_types
    lines = []
    for name, sign_type, kind in (
        ("stop", STOP_TYPE, SignKind.STOP),
        ("yield", YIELD_TYPE, SignKind.YIELD),
        ("speed-limit", LIMIT_TYPE, SignKind.SPEED_LIMIT),
    ):
        posted = [sign_id for sign_id, of_type in kinds.items() if of_type == sign_type]
        if posted and not (signs.signs.kind == kind).any():
            lines.append(
                f"none of {len(posted)} {name} signs acts on a driving lane ({_some(posted)})"
            )
    return lines


def _some(names: list[str]) -> str:
    more = f", and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
