"""Scenes of a drive: short stretches of time, each with a route of roadblocks and a goal."""

from __future__ import annotations

from typing import NamedTuple

from sim_adapters.nuplan.export.geopackage import FIRST_BLOCK_FID, FIRST_BLOCK_LINK_FID
from sim_adapters.nuplan.export.logged_world import Recording
from sim_adapters.nuplan.export.road_network import RoadNetwork


class Scene(NamedTuple):
    """Frames [first, last) of a log; `goal` is a frame, too."""

    first: int
    last: int
    goal: int
    roadblock_fids: tuple[int, ...]


class Visit(NamedTuple):
    """The ego comes onto a roadblock or roadblock connector."""

    first_frame: int
    fid: int


def cut_scenes(recording: Recording, network: RoadNetwork, frames_per_scene: int) -> list[Scene]:
    """Scenes of equal length, the last one shorter; routes lead on beyond the end of the log."""
    visits = visited_fids(recording, network)
    scenes = []
    for first in range(0, recording.num_frames, frames_per_scene):
        last = min(first + frames_per_scene, recording.num_frames)
        goal, fids = _route_from(visits, first, recording.num_frames)
        scenes.append(Scene(first, last, goal, fids))
    return scenes


def visited_fids(recording: Recording, network: RoadNetwork) -> list[Visit]:
    """Roadblocks and their connectors in the order in which the ego meets them.

    What it means to meet after the log has frame numbers from T on.
    """
    block_of = network.block_of_map_lane()
    link_of = {
        (link.from_block, link.to_block): row for row, link in enumerate(network.block_links)
    }
    visits: list[Visit] = []
    block, left_at = -1, -1
    lanes = [*recording.ego_lane.tolist(), *recording.lanes_ahead]
    for frame, lane in enumerate(lanes):
        at = block_of.get(lane, -1)
        if at < 0:  # on a lane that belongs to connectors
            left_at = frame if left_at < 0 else left_at
            continue
        # A turn of the road may lead back onto the roadblock just left: that is a visit, too
        link = link_of.get((block, at), -1)
        if block < 0 and left_at >= 0:  # the log begins on a connector
            link = _link_to(network, lanes[0], at)
        if at != block or (left_at >= 0 and link >= 0):
            if link >= 0:
                first_frame = left_at if left_at >= 0 else frame
                visits.append(Visit(first_frame, FIRST_BLOCK_LINK_FID + link))
            visits.append(Visit(frame, FIRST_BLOCK_FID + at))
        block, left_at = at, -1
    return visits


def _link_to(network: RoadNetwork, map_lane: int, block: int) -> int:
    """A roadblock connector that leads over a lane of the map to a roadblock, -1 none."""
    for connector in network.connectors:
        leads_there = network.lanes[connector.to_lane].block == block
        if leads_there and any(piece.lane == map_lane for piece in connector.pieces):
            return connector.block_link
    return -1


def _route_from(visits: list[Visit], frame: int, num_frames: int) -> tuple[int, tuple[int, ...]]:
    """Last frame on the way and the way itself, which ends before it meets itself again."""
    begun = [row for row, visit in enumerate(visits) if visit.first_frame <= frame]
    fids: list[int] = []
    for visit in visits[begun[-1] if begun else 0 :]:
        if visit.fid in fids:
            return min(visit.first_frame, num_frames) - 1, tuple(fids)
        fids.append(visit.fid)
    return num_frames - 1, tuple(fids)
