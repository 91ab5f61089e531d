"""Blueprints of props: those that the leaderboard's scenarios and CARLA's examples name."""

from __future__ import annotations

from sim_adapters.carla.headless.actor_arrays import Kind
from sim_adapters.carla.headless.blueprints.form import FLOAT, STRING, Attribute, Blueprint
from sim_adapters.world import vehicle_catalogue as catalogue

_DYNAMIC_TAG = 21
_FLAT_PROPS = ("dirtdebris", "ironplank")  # wheels roll over them
# Props without measured size: about (half length, half width, half height)
_OTHER_PROPS = {
    "barrel": (0.3, 0.3, 0.45),
    "bench01": (0.75, 0.3, 0.4),
    "bikeparking": (0.9, 0.3, 0.4),
    "box01": (0.3, 0.3, 0.25),
    "briefcase": (0.25, 0.1, 0.2),
    "chainbarrier": (0.65, 0.05, 0.35),
    "chainbarrierend": (0.1, 0.05, 0.35),
    "creasedbox01": (0.35, 0.3, 0.05),
    "dirtdebris02": (0.93, 0.755, 0.075),
    "dirtdebris03": (0.93, 0.755, 0.075),
    "foodcart": (1.3, 0.8, 1.2),
    "gardenlamp": (0.1, 0.1, 0.3),
    "ironplank": (0.8, 0.4, 0.03),
    "kiosk_01": (1.3, 1.1, 1.5),
    "mailbox": (0.25, 0.25, 0.6),
    "plasticbag": (0.2, 0.2, 0.2),
    "streetsign": (0.3, 0.05, 1.2),
    "streetsign01": (0.3, 0.05, 1.2),
    "streetsign04": (0.3, 0.05, 1.2),
    "swingcouch": (1.0, 0.6, 0.9),
    "trafficcone02": (0.17, 0.17, 0.3),
    "trafficwarning": (1.185, 1.435, 1.785),
    "trampoline": (1.5, 1.5, 0.5),
    "trashcan01": (0.3, 0.3, 0.5),
    "travelcase": (0.3, 0.15, 0.35),
    "warningaccident": (0.4, 0.3, 0.45),
    "wateringcan": (0.15, 0.1, 0.15),
    "mesh": (1.0, 1.0, 0.5),
}


def prop_blueprints() -> list[Blueprint]:
    """Props with measured sizes where the catalogue has them."""
    sizes = {
        name: (float(length), float(width), float(height))
        for name, length, width, height in zip(
            catalogue.PROP_NAMES,
            catalogue.PROP_HALF_LENGTH_M,
            catalogue.PROP_HALF_WIDTH_M,
            catalogue.PROP_HALF_HEIGHT_M,
            strict=True,
        )
    }
    attributes: tuple[Attribute, ...] = (
        ("role_name", STRING, "prop", ("prop",), True),
        ("size", STRING, "medium", (), False),
        ("mesh_path", STRING, "", (), True),
        ("scale", FLOAT, "1.0", (), True),
        ("mass", FLOAT, "0.0", (), True),
    )
    return [
        Blueprint(
            f"static.prop.{name}",
            Kind.PROP,
            attributes,
            half,
            (0.0, 0.0, half[2]),
            tag=_DYNAMIC_TAG,
            is_solid=not name.startswith(_FLAT_PROPS),
        )
        for name, half in sorted({**_OTHER_PROPS, **sizes}.items())
    ]
