from pathlib import Path

import pytest

from carl_planner import pretrained
from carl_planner.checkpoint import CheckpointError, load_checkpoint
from carl_planner.policy_files import load_policy
from carl_planner.pretrained import shipped_names, shipped_or_own


def test_every_shipped_policy_loads_has_a_card_and_is_small():
    for name in shipped_names():
        load_policy(f"pretrained/{name}")
        file = shipped_or_own(Path("pretrained") / name)
        assert file.with_suffix(".md").read_text().startswith("# ")
        assert file.stat().st_size < 2e6
        assert not load_checkpoint(file).is_resumable  # weights alone


def test_a_name_that_is_not_shipped_is_refused_with_those_that_are():
    with pytest.raises(CheckpointError, match="pretrained/typo does not exist; the package has"):
        load_policy("pretrained/typo")


def test_a_folder_of_ones_own_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    own = Path("pretrained/driver")
    own.parent.mkdir()
    own.write_bytes(b"")
    assert shipped_or_own(own) == own


def test_until_a_policy_is_shipped_its_name_means_the_last_stage_of_its_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pretrained, "__file__", str(tmp_path / "__init__.py"))
    for name in ("other", "driver_stage_a", "driver_stage_b"):
        (tmp_path / f"{name}.pt").touch()
    assert shipped_or_own(Path("pretrained/driver")).name == "driver_stage_b.pt"
    (tmp_path / "driver.pt").touch()
    assert shipped_or_own(Path("pretrained/driver")).name == "driver.pt"
