"""Child process that lists the landmarks of one OpenDRIVE document as CARLA places them.

`python -m sim_adapters.carla.headless.landmarks_worker < document > landmarks.json` keeps the
server out of reach of documents that end or hang the process inside CARLA's library.
"""

from __future__ import annotations

import json
import math
import sys

import carla

from sim_adapters.maps.map_worker import map_work


def list_landmarks(text: str) -> list[dict[str, object]]:
    """Every signal once, by OpenDRIVE id; positions and headings in the right-handed frame."""
    found: dict[str, dict[str, object]] = {}
    for landmark in carla.Map("town", text).get_all_landmarks():
        location, rotation = landmark.transform.location, landmark.transform.rotation
        found.setdefault(
            landmark.id,
            {
                "sign_id": landmark.id,
                "sign_type": landmark.type,
                "value": landmark.value,
                "x": location.x,
                "y": -location.y,
                "z": location.z,
                "yaw_rad": -math.radians(rotation.yaw),
            },
        )
    return list(found.values())


def main() -> None:
    """Read the document from standard input, write JSON to standard output."""
    with map_work():
        landmarks = list_landmarks(sys.stdin.buffer.read().decode())
    json.dump(landmarks, sys.stdout)


if __name__ == "__main__":
    main()
