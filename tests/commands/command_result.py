"""What a command left behind, and the overrides that make its runs small."""

import os
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CROSSING = HERE.parent / "data" / "crossing.xodr"
TINY_WORLD = (
    f"simulator.towns=[{CROSSING}]",
    "simulator.traffic.num_vehicles=2",
    "simulator.max_vehicles=4",
    "simulator.pedestrians.num_pedestrians=0",
    "simulator.max_pedestrians=3",
    "simulator.max_statics=6",
    "simulator.warm_up_s=0.1",
)
TINY_RUN = (
    *("experiment=demo", *TINY_WORLD, "scenarios.length_m=80", "num_threads=1"),
    *("ppo.num_envs=4", "ppo.num_steps=16", "ppo.minibatch_size=32", "ppo.total_samples=128"),
)


@dataclass
class CommandResult:
    """Exit status and output of a command."""

    status: int
    out: str
    err: str

    def error(self) -> str:
        """The message of a command that refused its input: all that it wrote to stderr."""
        assert self.status == 1, self.out + self.err
        assert "Traceback" not in self.out + self.err, self.err
        assert self.err.startswith("error: "), self.err
        assert len(self.err.splitlines()) <= 4, self.err
        return self.err


def environment() -> dict[str, str]:
    """Of commands: no kernel is compiled, a few steps of small worlds are fast enough in Python."""
    paths = (HERE.parents[1], HERE / "user_folder", HERE.parent / "carl_planner")
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONWARNINGS": "ignore::RuntimeWarning",
        "NUMBA_DISABLE_JIT": "1",
        "OMP_NUM_THREADS": "1",
    }


def short_route(folder: Path, *, town: str = "crossing", x_m: float = -100.0) -> Path:
    """A route of leaderboard 2 that starts at (x_m, 1.75), CARLA's y, and ends in the west arm."""
    path = folder / "routes.xml"
    path.write_text(
        f'<routes><route id="0" town="{town}"><waypoints>'
        f'<position x="{x_m}" y="1.75" z="0.0"/><position x="-20.0" y="1.75" z="0.0"/>'
        "</waypoints><scenarios/></route></routes>"
    )
    return path
