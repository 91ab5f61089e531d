"""Blueprints of walkers."""

from __future__ import annotations

from sim_adapters.carla.headless.actor_arrays import Kind
from sim_adapters.carla.headless.blueprints.form import (
    BOOL,
    FLOAT,
    INT,
    STRING,
    Attribute,
    Blueprint,
)
from sim_adapters.world import vehicle_catalogue as catalogue

_WALKER_KG = 75.0
_CHILDREN = frozenset({9, 10, 11, 48, 49})
_SHORT = frozenset({12, 13, 14})
_NUM_WALKERS = 52
_PEDESTRIAN_TAG = 12


def walker_blueprints() -> list[Blueprint]:
    """CARLA's 52 walkers: adults, children and short adults."""
    blueprints: list[Blueprint] = []
    for number in range(1, _NUM_WALKERS + 1):
        size = 1 if number in _CHILDREN else 2 if number in _SHORT else 0
        half = (
            float(catalogue.WALKER_HALF_LENGTH_M[size]),
            float(catalogue.WALKER_HALF_WIDTH_M[size]),
            float(catalogue.WALKER_HALF_HEIGHT_M[size]),
        )
        attributes: tuple[Attribute, ...] = (
            ("gender", STRING, "female" if number % 2 else "male", (), False),
            ("age", STRING, "child" if size else "adult", (), False),
            ("generation", INT, "2" if number > 14 else "1", (), False),
            ("speed", FLOAT, "0.000000", ("0.0", "1.4", "2.9"), True),
            ("is_invincible", BOOL, "true", (), True),
            ("can_use_wheelchair", BOOL, "false", (), False),
            ("role_name", STRING, "pedestrian", ("pedestrian",), True),
        )
        blueprints.append(
            Blueprint(
                f"walker.pedestrian.{number:04d}",
                Kind.WALKER,
                attributes,
                half,
                mass_kg=_WALKER_KG,
                tag=_PEDESTRIAN_TAG,
                is_solid=True,
            )
        )
    return blueprints
