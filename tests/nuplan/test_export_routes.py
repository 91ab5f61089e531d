from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from sim_adapters.nuplan.export.logged_world import Recording
from sim_adapters.nuplan.export.road_network import (
    BlockLink,
    IntersectionType,
    NetworkConnector,
    NetworkLane,
    Piece,
    RoadNetwork,
)
from sim_adapters.nuplan.export.scene_routes import Visit, cut_scenes, visited_fids

# Roadblocks 0, 1, 2 of one lane each (lanes 10, 11, 12 of the map), joined in a ring 0 -> 1 -> 2
# -> 0 through the junction lanes 20, 21, 22; block b has fid 300000 + b, link l 400000 + l
RING = RoadNetwork(
    lanes=tuple(NetworkLane(block, 0, (Piece(10 + block, 0.0, 50.0),)) for block in range(3)),
    connectors=tuple(
        NetworkConnector(block, (block + 1) % 3, block, -1, (Piece(20 + block, 0.0, 9.0),))
        for block in range(3)
    ),
    block_links=(BlockLink(0, 1, 0), BlockLink(1, 2, 0), BlockLink(2, 0, 0)),
    intersections=(IntersectionType.DEFAULT,),
)


def drive(ego_lane: list[int], lanes_ahead: tuple[int, ...] = ()) -> Recording:
    values: dict[str, Any] = {
        field.name: np.zeros((len(ego_lane), 1)) for field in fields(Recording)
    }
    return Recording(
        **values | {"ego_lane": np.array(ego_lane, np.int32), "lanes_ahead": lanes_ahead}
    )


def test_visits_alternate_between_roadblocks_and_connectors() -> None:
    visits = visited_fids(drive([10, 10, 20, 20, 11, 11, 21, 12]), RING)
    assert visits == [
        Visit(0, 300_000),
        Visit(2, 400_000),
        Visit(4, 300_001),
        Visit(6, 400_001),
        Visit(7, 300_002),
    ]


def test_routes_go_on_where_the_ego_means_to_go_after_the_log() -> None:
    (scene,) = cut_scenes(drive([10, 20, 11], lanes_ahead=(21, 12)), RING, 3)
    assert scene.roadblock_fids == (300_000, 400_000, 300_001, 400_001, 300_002)
    assert scene.goal == 2  # the last frame there is


def test_a_scene_that_begins_in_a_junction_begins_its_route_there() -> None:
    scenes = cut_scenes(drive([10, 10, 20, 20, 11, 11]), RING, 3)
    assert scenes[1].first == 3
    assert scenes[1].roadblock_fids == (400_000, 300_001)


def test_a_log_that_begins_in_a_junction_has_its_connector_first() -> None:
    visits = visited_fids(drive([21, 21, 12]), RING)
    assert visits == [Visit(0, 400_001), Visit(2, 300_002)]


def test_a_route_ends_before_it_meets_itself() -> None:
    # Once round the ring: back on block 0 at frame 6
    (scene,) = cut_scenes(drive([10, 20, 11, 21, 12, 22, 10, 20, 11]), RING, 9)
    assert scene.roadblock_fids == (300_000, 400_000, 300_001, 400_001, 300_002, 400_002)
    assert scene.goal == 5


def test_a_scene_cut_short_by_the_end_of_the_log_is_kept() -> None:
    scenes = cut_scenes(drive([10] * 5), RING, 3)
    assert [(scene.first, scene.last) for scene in scenes] == [(0, 3), (3, 5)]
