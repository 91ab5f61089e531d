"""A leaderboard agent as anybody writes it, around CARLA's BasicAgent: it knows nothing of ours."""

import carla
from agents.navigation.basic_agent import BasicAgent  # pyright: ignore[reportMissingImports]
from leaderboard.autoagents.autonomous_agent import (  # pyright: ignore[reportMissingImports]
    AutonomousAgent,
    Track,
)
from srunner.scenariomanager.carla_data_provider import (  # pyright: ignore[reportMissingImports]
    CarlaDataProvider,
)


def get_entry_point():
    return "PlainAgent"


class PlainAgent(AutonomousAgent):
    """Follows the plan at 30 km/h."""

    def setup(self, path_to_conf_file):
        self.track = Track.MAP
        self.driver = None

    def sensors(self):
        pose = dict.fromkeys(("x", "y", "z", "roll", "pitch", "yaw"), 0.0)
        return [{"type": "sensor.other.imu", "id": "imu", **pose}]

    def set_global_plan(self, global_plan_gps, global_plan_world_coord):
        super().set_global_plan(global_plan_gps, global_plan_world_coord)
        self.dense_plan = global_plan_world_coord

    def run_step(self, input_data, timestamp):
        hero = CarlaDataProvider.get_hero_actor()
        if hero is None:
            return carla.VehicleControl(brake=1.0)
        if self.driver is None:
            self.driver = BasicAgent(hero, target_speed=30)
            carla_map = CarlaDataProvider.get_map()
            plan = [
                (carla_map.get_waypoint(place.location), option)
                for place, option in self.dense_plan
            ]
            self.driver.set_global_plan(plan)
        return self.driver.run_step()
