"""What the devkit's simulation shows, written into a scene.

Needs the devkit (`make test-nuplan`).
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import pytest

from sim_adapters.scene.state import empty_scene

pytestmark = [pytest.mark.nuplan, pytest.mark.filterwarnings("ignore")]


def test_more_tracks_than_slots_say_what_to_set():
    from nuplan.common.actor_state.oriented_box import OrientedBox
    from nuplan.common.actor_state.scene_object import SceneObjectMetadata
    from nuplan.common.actor_state.state_representation import StateSE2
    from nuplan.common.actor_state.static_object import StaticObject
    from nuplan.common.actor_state.tracked_objects_types import TrackedObjectType

    from sim_adapters.nuplan.devkit.scene import write_devkit_tracks

    cones = [
        StaticObject(
            TrackedObjectType.TRAFFIC_CONE,
            OrientedBox(StateSE2(10.0 * i, 0.0, 0.0), 0.5, 0.5, 1.0),
            SceneObjectMetadata(0, f"cone {i}", None, f"cone {i}"),
        )
        for i in range(3)
    ]
    scene = empty_scene(1, 3, num_lights=0, num_route_points=1)
    write_devkit_tracks(scene, 0, cones[:2], {})
    assert scene.motion.x[0].tolist() == [0.0, 0.0, 10.0]
    with pytest.raises(ValueError, match=r"3 tracks, the scene holds 2: set .*max_actors=3"):
        write_devkit_tracks(scene, 0, cones, {})
