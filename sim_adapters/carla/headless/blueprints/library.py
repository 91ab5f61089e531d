"""The blueprint library: everything that can be spawned, as clients list it."""

from __future__ import annotations

from sim_adapters.carla.headless.actor_arrays import Kind
from sim_adapters.carla.headless.blueprints.form import FLOAT, STRING, Attribute, Blueprint
from sim_adapters.carla.headless.blueprints.props import prop_blueprints
from sim_adapters.carla.headless.blueprints.sensors import sensor_blueprints
from sim_adapters.carla.headless.blueprints.vehicles import vehicle_blueprints
from sim_adapters.carla.headless.blueprints.walkers import walker_blueprints
from sim_adapters.carla.headless.versions import WireVersion


def build_library() -> dict[str, Blueprint]:
    """Every blueprint by name."""
    blueprints = [
        *vehicle_blueprints(),
        *walker_blueprints(),
        *prop_blueprints(),
        *sensor_blueprints(),
        *_others(),
    ]
    return {blueprint.type_id: blueprint for blueprint in blueprints}


def definitions(library: dict[str, Blueprint], version: WireVersion) -> list[list[object]]:
    """The library as `get_actor_definitions` answers it."""
    return [
        [
            uid,
            blueprint.type_id,
            ",".join(blueprint.type_id.split(".")),
            [
                [name, code + version.first_attribute_type, value, list(values), modifiable, False]
                for name, code, value, values, modifiable in blueprint.attributes
            ],
        ]
        for uid, blueprint in enumerate(library.values(), start=1)
    ]


def _others() -> list[Blueprint]:
    return [
        Blueprint(
            "controller.ai.walker",
            Kind.OTHER,
            (("role_name", STRING, "pedestrian_ai", (), True),),
        ),
        Blueprint("static.trigger.friction", Kind.OTHER, _friction_attributes()),
    ]


def _friction_attributes() -> tuple[Attribute, ...]:
    names = ("friction", "extent_x", "extent_y", "extent_z")
    values = ("3.5", "1.0", "1.0", "1.0")
    return tuple((name, FLOAT, value, (), True) for name, value in zip(names, values, strict=True))
