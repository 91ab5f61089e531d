"""The check of a GPU, on a CPU: what it compares, what it measures, and that it asks for a GPU."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_module
from torch import nn

from carl_planner.policy import ActorCritic
from carl_planner.ppo import LossSums
from evaluation.gpu_check import __main__ as gpu_check
from evaluation.gpu_check.__main__ import examine, main
from evaluation.gpu_check.agreement import compare_losses, compare_painters, compare_pictures
from evaluation.gpu_check.figures import forward_bytes, rate_of
from evaluation.gpu_check.findings import Check, Figure, Findings
from sim_adapters.observation.bev import BevObserver
from sim_adapters.observation.observer import Tensors
from sim_adapters.scene.map_bank import MapBank

CPU = torch.device("cpu")
TINY = (
    *("device=cpu", "num_threads=1", "observation=carl_bev_64", "policy=small_cnn"),
    *("ppo=nuplan_demo", "ppo.num_envs=4", "ppo.num_steps=16", "ppo.minibatch_size=64"),
    *("ppo.epochs=1", "ppo.rollout_storage=scene", "ppo.micro_batch_size=32"),
    *("simulator.towns=[Town02]", "simulator.warm_up_s=0.2", "scenarios.length_m=200.0"),
)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_machine_without_a_gpu_is_told_so_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["gpu_check"])
    with pytest.raises(SystemExit) as ended:
        main()
    message = str(ended.value.code)  # python prints it and exits with 1
    assert "\n" not in message
    assert "finds no GPU here" in message
    assert "python -m evaluation.gpu_check json=gpu_check.json" in message


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("observation", ["carl_bev_64", "carl_bev", "roach_bev"])
def test_a_gpu_paints_what_the_cpu_paints(observation: str) -> None:
    check = compare_painters(observation, torch.device("cuda", 0), num_worlds=2, num_steps=5)
    assert check.holds, check.note


class CpuPainter:
    """Paints on the CPU, and one pixel wrong."""

    def __init__(self, observer: BevObserver, maps: MapBank) -> None:
        self.observer, self.maps = observer, maps

    def paint(self, rows: Tensors, out: Tensors) -> None:
        arrays = [{name: tensor.numpy() for name, tensor in each.items()} for each in (rows, out)]
        self.observer.paint(arrays[0], self.maps, arrays[1])
        out["bev"][0, 0, 0, 0] += 1


def test_painters_are_compared_on_rows_of_driven_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        BevObserver, "device_painter", lambda self, maps, device: CpuPainter(self, maps)
    )
    check = compare_painters("carl_bev_64", CPU, num_worlds=2, num_steps=5)
    assert check.found == pytest.approx(1 / (2 * 6 * 10 * 64 * 64))
    assert check.holds
    assert check.note.endswith("by 1 gray values at most")


def test_pictures_are_compared_by_their_share_of_different_pixels() -> None:
    ours = np.zeros((1, 2, 10, 10), np.uint8)
    theirs = ours.copy()
    assert compare_pictures("bev", ours, theirs).holds
    theirs[0, 1, 3, 4] = 255
    check = compare_pictures("bev", ours, theirs)
    assert check.found == pytest.approx(1 / 200)
    assert not check.holds
    assert "by 255 gray values" in check.note


def test_the_critics_loss_is_compared_with_its_size() -> None:
    exact = np.zeros((3, len(LossSums._fields)))
    value = LossSums._fields.index("value")
    exact[:, value] = [50.0, 20.0, 10.0]
    ours = exact.copy()
    ours[2, value] += 1.0
    (check,) = compare_losses("bf16", ours, exact, {"value": 0.05})
    assert check.found == pytest.approx(1.0 / 50.0)
    assert check.holds
    ours[1, value] = np.nan
    assert not compare_losses("bf16", ours, exact, {"value": 0.05})[0].holds


class OneLinear(nn.Module):
    """8 floats to 4."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, observation: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.layer(observation["value_measurements"])


def test_a_layers_traffic_is_what_it_reads_and_writes() -> None:
    policy: ActorCritic = OneLinear()  # pyright: ignore[reportAssignmentType]
    assert forward_bytes(policy, {"value_measurements": torch.zeros(5, 8)}) == 4 * (8 + 4)


def test_rates_count_the_work_that_was_done() -> None:
    calls: list[int] = []

    def work() -> int:
        calls.append(1)
        return 10

    rate = rate_of(work, CPU, 0.05)
    assert 0 < rate <= 10 * len(calls) / 0.05


def test_a_whole_check_ends_with_a_table_and_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_check, "SETTINGS", gpu_check.SETTINGS[:3])  # none is compiled
    small = ["num_iterations=1", "num_samples=32", "num_updates=8", "seconds=0.05"]
    with initialize_config_module("configs", version_base="1.3"):
        config = compose("gpu_check", overrides=["painted=[]", "copied_floats=100000", *small])
    config.training = list(TINY)
    findings = examine(config, CPU)
    assert {check.what.partition(":")[0] for check in findings.checks} == {
        "float32, device and CPU",
        "bf16 and float32",
    }
    assert findings.all_hold, findings.table()
    values = {figure.key: figure.value for figure in findings.figures}
    for key in ("memory", "acting, float32", "updating, bf16", "training, end to end"):
        assert values[key] > 0
    shares = [values[f"training: {part}"] for part in ("policy", "worlds", "updating")]
    assert findings.advice[0].startswith("ppo.precision=")
    assert 0.5 < sum(shares) <= 1.0
    assert "experiment=carl_embedded device=cuda ppo.paint_on=gpu" in findings.advice[-1]
    assert json.loads(json.dumps(findings.document()))["figures"][0]["key"] == "memory"


def test_the_table_names_what_does_not_hold() -> None:
    checks = [Check("bev: pixels", 0.5, 1e-4, "of 10"), Check("loss", 0.0, 1e-3)]
    figures = [Figure("painting", 2e5, "frames/s", aim=150_000)]
    table = Findings({"GPU": "none"}, checks, figures, ["train"]).table()
    lines = table.splitlines()
    assert "| bev: pixels | 0.5 | at most 0.0001: **no** | of 10 |" in lines
    assert "| painting | 2e+05 frames/s | at least 1.5e+05 |  |" in lines
    assert lines[-2:] == ["1 of 2 checks hold; not: bev: pixels", "- train"]
    assert all(line.count("|") == 5 for line in lines[:-3])
