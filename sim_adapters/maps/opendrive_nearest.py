"""Child process that asks CARLA for the driving lane nearest to each of some places.

`python -m sim_adapters.maps.opendrive_nearest "[[x, y, z], ...]" < document` is started by
`opendrive.nearest_driving_lanes`. It prints one `[road, section, lane, x, y, z]` a place as JSON.
Waypoints of route files lie exactly on centre lines, often where two lanes of a junction run one
above the other to a tenth of a millimetre: which of them CARLA means decides the way it plans.
"""

from __future__ import annotations

import json
import sys

import carla

from sim_adapters.maps.worker_status import UNUSABLE_STATUS


def nearest_lanes(
    document: str, places: list[list[float]]
) -> list[tuple[int, int, int, float, float, float]]:
    """Ids (road, section, lane) and centre-line point of the nearest driving lane, in our frame."""
    carla_map = carla.Map("town", document)
    rows = []
    for x, y, z in places:
        waypoint = carla_map.get_waypoint(carla.Location(x, -y, z))
        at = waypoint.transform.location
        rows.append(
            (waypoint.road_id, waypoint.section_id, waypoint.lane_id, at.x, 0.0 - at.y, at.z)
        )
    return rows


def main() -> None:
    """Read the document from standard input and print the lanes."""
    try:
        rows = nearest_lanes(sys.stdin.buffer.read().decode("utf-8"), json.loads(sys.argv[1]))
    except (ValueError, RuntimeError, IndexError) as error:  # the last two: carla.Map's refusals
        sys.stderr.write(f"{error}\n")
        sys.exit(UNUSABLE_STATUS)
    sys.stdout.write(json.dumps(rows))


if __name__ == "__main__":
    main()
