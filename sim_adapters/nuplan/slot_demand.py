"""How many road users a log's traffic shows at once: what actor slots and traces must hold."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from sim_adapters.nuplan.scenario_log import ScenarioLog, TrackType

Traffic = Literal["log", "idm"]
# The order in which the devkit lists what it replays in reactive traffic
REPLAYED_TYPES = np.array(
    [
        TrackType.PEDESTRIAN,
        TrackType.BARRIER,
        TrackType.CZONE_SIGN,
        TrackType.TRAFFIC_CONE,
        TrackType.GENERIC_OBJECT,
    ],
    np.uint8,
)


class ReactiveDemand(NamedTuple):
    """What reactive traffic shows at most."""

    num_agents: int  # vehicles of the first frame
    num_replayed: int  # of REPLAYED_TYPES, in any one frame


def reactive_demand(log: ScenarioLog) -> ReactiveDemand:
    """Agents and replayed objects of a log."""
    boxes = log.boxes
    vehicles = boxes.type[: boxes.first[1]] == TrackType.VEHICLE
    counted = np.concatenate([[0], np.cumsum(np.isin(boxes.type, REPLAYED_TYPES))])
    return ReactiveDemand(int(vehicles.sum()), int(np.diff(counted[boxes.first]).max(initial=0)))


def slots_needed(log: ScenarioLog, traffic: Traffic) -> int:
    """Most road users besides the ego at any one time.

    Agents outlive the frames of their vehicles, so reactive traffic may show more than any frame
    of the log holds.
    """
    if traffic == "idm":
        return sum(reactive_demand(log))
    return int(np.diff(log.boxes.first).max(initial=0))
