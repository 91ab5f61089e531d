"""What kernels of the embedded world take together: the lane graph, and their part of the scene.

They are narrower than `MapBank.roads` and `SceneBatch.arrays`: every array of a handle makes each
function that it is handed on to dearer to compile, and traffic has dozens of them.
"""

from __future__ import annotations

from typing import NamedTuple

from sim_adapters.scene.map_bank import (
    LaneGrid,
    LaneLinks,
    LanePoints,
    LaneRules,
    Lanes,
    MapBank,
    MapRanges,
)
from sim_adapters.scene.state import (
    ActorMotion,
    ActorTraits,
    Clocks,
    EgoState,
    Lights,
    SceneBatch,
)


class LaneGraph(NamedTuple):
    """The lanes of all towns, how they join, and who goes first; nothing of it ever changes."""

    ranges: MapRanges
    grid: LaneGrid
    points: LanePoints
    lanes: Lanes
    links: LaneLinks
    rules: LaneRules


class WorldScene(NamedTuple):
    """Who is where and when: what kernels of the world read and write of the scene."""

    motion: ActorMotion
    traits: ActorTraits
    ego: EgoState
    lights: Lights
    clocks: Clocks


def lane_graph(maps: MapBank) -> LaneGraph:
    """The lanes of a bank, no copies."""
    return LaneGraph(maps.ranges, maps.grid, maps.points, maps.lanes, maps.links, maps.rules)


def world_scene(scene: SceneBatch) -> WorldScene:
    """The arrays of a scene, no copies."""
    return WorldScene(scene.motion, scene.traits, scene.ego, scene.lights, scene.clocks)
