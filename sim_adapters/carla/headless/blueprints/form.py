"""What a blueprint is: a kind of actor that clients can spawn, and its attributes."""

from __future__ import annotations

from dataclasses import dataclass

from sim_adapters.carla.headless.actor_arrays import Kind

BOOL, INT, FLOAT, STRING, COLOR = range(5)
Attribute = tuple[str, int, str, tuple[str, ...], bool]  # id, type, value, recommended, modifiable


@dataclass(frozen=True)
class Blueprint:
    """One kind of actor that clients can spawn.

    Args:
        type_id: Its name, e.g. "vehicle.lincoln.mkz_2020".
        kind: Which columns of the actor arrays it uses.
        attributes: Names, types and defaults.
        half_extents_m: Of the bounding box; None without a body.
        box_center_m: In the actor's frame.
        mass_kg: Zero where nothing moves it.
        tag: Semantic tag.
        is_solid: Whether it collides.
    """

    type_id: str
    kind: Kind
    attributes: tuple[Attribute, ...]
    half_extents_m: tuple[float, float, float] | None = None
    box_center_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    mass_kg: float = 0.0
    tag: int = 0
    is_solid: bool = False
