"""Under torchrun: a whole run, one that a signal to rank 1 alone stops, and its resumption.

One start of the ranks for all three, because importing torch takes longer than they do.
"""

import os
import signal
import sys
from pathlib import Path

import pytest
from point_goal_env import PointGoalEnv
from train_runs import losses, train

import carl_planner.train as train_module
from carl_planner.distributed import end_rank, leave_process_group

RUN = ("experiment=point_goal", "ppo.total_samples=4096")  # 8 iterations of 2 x 8 points, 32 steps
STOP_AT_STEP = 80  # within the third rollout


class StoppedEnv(PointGoalEnv):
    """Sends its process SIGTERM in its step `STOP_AT_STEP`."""

    def step(self, actions):
        if self.num_steps == STOP_AT_STEP:
            signal.raise_signal(signal.SIGTERM)
        return super().step(actions)


def main(folder: Path) -> None:
    """The three runs, in folders `whole` and `parts`."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("leave_process_group", "end_rank"):  # ranks meet once only
            patch.setattr(train_module, name, lambda: None)
        train(folder / "whole", *RUN)
        with pytest.MonkeyPatch.context() as stopping:
            if os.environ["RANK"] == "1":
                stopping.setattr("point_goal_env.PointGoalEnv", StoppedEnv)
            out = train(folder / "parts", *RUN).stdout
        if os.environ["RANK"] == "0":
            assert len(losses(folder / "parts")) == 2, "the run must stop in its third rollout"
            sys.stdout.write(out)
        train(folder / "parts", f"resume={folder / 'parts'}")
    leave_process_group()
    end_rank()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
