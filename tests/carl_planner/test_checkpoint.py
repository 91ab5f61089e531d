"""Checkpoints: whole, atomic, safe to open, and clear about what does not fit."""

import errno
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from carl_planner.checkpoint import (
    Checkpoint,
    CheckpointError,
    check_observation,
    describe_space,
    load_checkpoint,
    restore_rng_state,
    rng_state,
    save_checkpoint,
)
from carl_planner.policy_files import load_policy


def bev_space(channels: int) -> spaces.Dict:
    return spaces.Dict(
        {
            "bev": spaces.Box(0, 255, (channels, 64, 64), np.uint8),
            "measurements": spaces.Box(-1, 1, (8,), np.float32),
        }
    )


def make_checkpoint(**changes: Any) -> Checkpoint:
    fields: dict[str, Any] = {
        "policy": {"weight": torch.arange(3.0)},
        "config": {"seed": 1, "policy": {"_target_": "os.system", "command": "true"}},
        "choices": {"observation": "carl_bev"},
        "observation_spec": describe_space(bev_space(10)),
        "action_spec": {"shape": [2]},
        "optimizer": {"state": {}},
        "progress": {"samples": 7, "best_return": -float("inf")},
        "ranks": [
            {
                "env": {
                    "flags": np.array([True, False]),
                    "count": np.array(5, np.int64),
                    "seeds": np.array([2**63 + 1], np.uint64),
                    "transposed": np.arange(6.0).reshape(2, 3).T,
                }
            }
        ],
    }
    return Checkpoint(**(fields | changes))


def test_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    saved = make_checkpoint()
    save_checkpoint(tmp_path / "latest.pt", saved)
    loaded = load_checkpoint(tmp_path / "latest.pt")
    torch.testing.assert_close(loaded.policy["weight"], saved.policy["weight"])
    assert loaded.progress == saved.progress
    for name, array in saved.ranks[0]["env"].items():
        found = loaded.ranks[0]["env"][name]
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)


def test_full_disk_leaves_the_old_checkpoint_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "latest.pt"
    save_checkpoint(path, make_checkpoint())
    before = path.read_bytes()
    original = Path.open

    class FullDisk(io.FileIO):
        def write(self, data: Any) -> int:
            super().write(bytes(data)[:100])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def open_on_full_disk(self: Path, mode: str = "r", **kwargs: Any) -> Any:
        return FullDisk(self, mode) if "w" in mode else original(self, mode, **kwargs)

    monkeypatch.setattr(Path, "open", open_on_full_disk)
    with pytest.raises(CheckpointError, match=r"No space left.*previous one is intact"):
        save_checkpoint(path, make_checkpoint(progress={"samples": 8}))
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["latest.pt"]


def test_a_missing_folder_is_made_and_one_that_cannot_be_is_named(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "new" / "run" / "latest.pt", make_checkpoint())
    assert load_checkpoint(tmp_path / "new" / "run" / "latest.pt").is_resumable
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "run" / "latest.pt"
    with pytest.raises(CheckpointError, match=r"cannot write .*file/run/latest.pt.*MB free"):
        save_checkpoint(path, make_checkpoint())


def test_checkpoint_for_another_observation_is_refused_with_the_remedy() -> None:
    expected = (
        "observation has 9 channels, the checkpoint was trained with 10: use observation=carl_bev"
    )
    with pytest.raises(CheckpointError) as error:
        check_observation(make_checkpoint(), bev_space(9))
    assert str(error.value) == expected
    check_observation(make_checkpoint(), bev_space(10))


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        load_checkpoint(tmp_path / "nothing.pt")
    path = tmp_path / "latest.pt"
    save_checkpoint(path, make_checkpoint())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(path)


def test_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.system, ("true",)

    torch.save({"format_version": 1, "policy": Malicious()}, tmp_path / "evil.pt")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(tmp_path / "evil.pt")
    save_checkpoint(tmp_path / "config.pt", make_checkpoint())
    with pytest.raises(CheckpointError, match=r"os\.system.*trusted"):
        load_policy(tmp_path / "config.pt")


def test_checkpoint_of_a_later_format_is_refused(tmp_path: Path) -> None:
    torch.save({"format_version": 99}, tmp_path / "new.pt")
    with pytest.raises(CheckpointError, match="format 99"):
        load_checkpoint(tmp_path / "new.pt")


def test_what_weights_only_cannot_load_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot hold a PosixPath"):
        save_checkpoint(tmp_path / "latest.pt", make_checkpoint(config={"where": Path("/tmp")}))


def test_generators_go_on_where_they_were(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "rng.pt", make_checkpoint(ranks=[{"rng": rng_state()}]))
    expected = torch.rand(3), np.random.rand(3)
    restore_rng_state(load_checkpoint(tmp_path / "rng.pt").ranks[0]["rng"])
    torch.testing.assert_close(torch.rand(3), expected[0])
    np.testing.assert_array_equal(np.random.rand(3), expected[1])
