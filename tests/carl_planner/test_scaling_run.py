"""CaRL's batch sizes on two cores: `experiment=scaling_vector` under torchrun, at full size."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from carl_planner.metrics import read_metrics

BATCH_SIZE, MINIBATCH_SIZE = 65_536, 16_384  # 128 environments x 512 steps
NUM_BATCHES = 2


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_processes_learn_from_batches_of_the_published_size(tmp_path: Path) -> None:
    run = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"),
            *("-m", "carl_planner.train", "experiment=scaling_vector"),
            *(f"ppo.total_samples={NUM_BATCHES * BATCH_SIZE}", f"hydra.run.dir={tmp_path}"),
        ],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    lines = read_metrics(tmp_path)
    assert [line["samples"] for line in lines] == [BATCH_SIZE, NUM_BATCHES * BATCH_SIZE]
    assert f"minibatch_size: {MINIBATCH_SIZE}" in (tmp_path / "config.yaml").read_text()
    for line in lines:
        assert math.isfinite(line["losses/policy"])
        assert line["losses/entropy"] != 0.0
        assert line["losses/grad_norm"] > 0.0
    assert (tmp_path / "model_final.pt").is_file()
