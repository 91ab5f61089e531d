"""Child process that asks CARLA for the lanes nearest to each of some places.

`python -m sim_adapters.maps.opendrive_nearest PLACES.npy ANSWERS.npz < document` is started by
`opendrive.nearest_lanes`. The places are (K, 3) in our frame; the answers are the fields of
`lane_answers.NearestLanes`. CARLA looks for lanes among chords: on a straight road one from end to
end of a lane, in a bend one for each 1.8 degrees. Waypoints of route files lie exactly on centre
lines, often where two lanes of a junction run one above the other to a tenth of a millimetre. In
both cases nothing but CARLA itself can say which lane it means.
"""

from __future__ import annotations

import math
import sys

import carla
import numpy as np
from numpy.typing import NDArray

from sim_adapters.maps.lane_answers import DrivingAnswers, NearestLanes, ParkingAnswers
from sim_adapters.maps.map_worker import map_work
from sim_adapters.maps.opendrive_document import centred


def ask_carla(document: bytes, places: NDArray[np.float64]) -> NearestLanes:
    """CARLA's answers for places in our frame, (K, 3)."""
    text, *shift = centred(document)
    try:
        carla_map = carla.Map("town", text.decode("utf-8"))
    except IndexError as error:  # std::out_of_range from CARLA's tables of roads
        raise ValueError(f"a link leads to a road or lane that is missing ({error})") from error
    driving, parking = [], []
    for x, y, z in (places - [*shift, 0.0]).tolist():
        place = carla.Location(x, 0.0 - y, z)
        driving.append(_driving(carla_map.get_waypoint(place)))
        beside = carla_map.get_waypoint(place, lane_type=carla.LaneType.Parking)
        parking.append(_parking(beside))
    answers = NearestLanes(
        DrivingAnswers(*_columns(driving, len(DrivingAnswers._fields))),
        ParkingAnswers(*_columns(parking, len(ParkingAnswers._fields))),
    )
    for kind in answers:
        for column, metres in zip((kind.x, kind.y), shift, strict=True):
            column += metres
    return answers


def _driving(waypoint: carla.Waypoint) -> tuple[float, ...]:
    """One row of `DrivingAnswers`."""
    at = waypoint.transform.location
    return (
        waypoint.road_id,
        waypoint.section_id,
        waypoint.lane_id,
        waypoint.is_junction,
        at.x,
        0.0 - at.y,
        at.z,
        0.0 - math.radians(waypoint.transform.rotation.yaw),
        waypoint.lane_width,
    )


def _parking(waypoint: carla.Waypoint | None) -> tuple[float, ...]:
    """One row of `ParkingAnswers`; many towns have no parking lane."""
    if waypoint is None:
        return math.inf, math.inf, math.inf, 0.0
    at = waypoint.transform.location
    return at.x, 0.0 - at.y, at.z, waypoint.lane_width


def _columns(rows: list[tuple[float, ...]], width: int) -> NDArray[np.float64]:
    return np.array(rows, np.float64).reshape(-1, width).T


def main() -> None:
    """Read the document from standard input and write the answers."""
    places_file, answers_file = sys.argv[1:]
    with map_work():
        answers = ask_carla(sys.stdin.buffer.read(), np.load(places_file))
    np.savez(answers_file, driving=np.array(answers.driving), parking=np.array(answers.parking))


if __name__ == "__main__":
    main()
