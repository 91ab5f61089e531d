"""PDM-Lite's agent beside a numpy that left out what the expert was written with."""

import subprocess
import sys
from pathlib import Path

AGENT = Path(__file__).parents[3] / "evaluation" / "pdm_lite_agent.py"
BASE = "autonomous_agent"
EXPERT = """
import numpy as np

class AutoPilot:
    def __init__(self, path, index): self.plan = None
    def set_global_plan(self, gps, world): self.plan = world
    def setup(self, path, index): self.table = np.zeros(3, dtype=np.float)
    def sensors(self): return [{"type": "sensor.camera.rgb"}, {"type": "sensor.other.imu"}]
    def run_step(self, data, timestamp):
        return np.array([self.plan], dtype=np.object).size + np.float_(self.table.sum())
"""
DRIVE = """
import importlib.util, sys, types
def offer(name, **content):
    parts = name.split(".")
    for depth in range(1, len(parts)):
        sys.modules.setdefault(".".join(parts[:depth]), types.ModuleType(parts[depth - 1]))
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(content)
class Agent:
    def set_global_plan(self, gps, world): pass
offer("leaderboard.autoagents.autonomous_agent", AutonomousAgent=Agent,
      Track=types.SimpleNamespace(MAP="MAP"))
offer("srunner.scenariomanager.carla_data_provider", CarlaDataProvider=types.SimpleNamespace())
spec = importlib.util.spec_from_file_location("pdm_lite_agent", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
agent = module.PdmLiteAgent()
agent.set_global_plan([], ["a plan"])
agent.setup("")
print(agent.run_step({}, 0.0), [sensor["type"] for sensor in agent.sensors()])
"""


def test_the_expert_finds_the_numpy_names_that_it_was_written_with(tmp_path, monkeypatch):
    for file, text in {
        "team_code/autopilot.py": EXPERT,
        f"leaderboard/leaderboard/autoagents/{BASE}_local.py": "class AutonomousAgent: ...\n",
    }.items():
        path = tmp_path / file
        path.parent.mkdir(parents=True)
        path.write_text(text)
    monkeypatch.setenv("PDM_LITE_ROOT", str(tmp_path))
    command = [sys.executable, "-c", DRIVE, str(AGENT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[-2] == "1.0 ['sensor.other.imu']"


def test_a_folder_without_the_expert_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PDM_LITE_ROOT", str(tmp_path))
    command = [sys.executable, "-c", DRIVE, str(AGENT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"PDM_LITE_ROOT={tmp_path} holds no team_code/autopilot.py" in done.stderr
