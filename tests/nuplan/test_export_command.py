from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_module
from hydra.errors import ConfigCompositionException
from hydra.utils import instantiate
from omegaconf import DictConfig

from sim_adapters.maps.town_files import find_town_file
from sim_adapters.nuplan.export.__main__ import export
from sim_adapters.nuplan.export.data_set import ExportSettings


def composed(*overrides: str) -> DictConfig:
    with initialize_config_module("configs", version_base="1.3"):
        return compose("nuplan_export", overrides=list(overrides))


@pytest.mark.parametrize("preset", ["parity", "demo"])
def test_presets_set_every_keyword_and_name_towns_that_exist(preset: str) -> None:
    config = composed("out=unused", f"preset={preset}")
    assert {field.name for field in fields(ExportSettings)} == set(config.drives) - {"_target_"}
    assert isinstance(instantiate(config.drives), ExportSettings)
    assert config.towns
    assert all(find_town_file(town).is_file() for town in config.towns)


def test_misspelt_keys_are_refused() -> None:
    with pytest.raises(ConfigCompositionException, match="drive_seconds"):
        composed("out=unused", "drives.drive_seconds=10")


def test_the_command_makes_maps_logs_and_a_filter(tmp_path: Path) -> None:
    out = tmp_path / "set"
    few = (
        "drives.traffic.num_vehicles=4",
        "drives.pedestrians.num_pedestrians=2",
        "drives.min_distance_m=20",
    )
    export(composed(f"out={out}", "towns=[Town02]", "drives_per_town=1", "drives.drive_s=41", *few))
    assert sorted(path.name for path in out.iterdir()) == [
        "export.json",
        "filter.yaml",
        "logs",
        "maps",
    ]
    assert [path.name for path in (out / "logs").iterdir()] == ["carla-town02_0000.db"]
    assert "scenario_tokens" in yaml.safe_load((out / "filter.yaml").read_text())


def test_a_missing_folder_and_an_unknown_town_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="out=DIR"):
        export(composed())
    with pytest.raises(FileNotFoundError, match="Town99"):
        export(composed(f"out={tmp_path}", "towns=[Town99]"))


def test_a_town_with_bridges_ends_the_command_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Town05: roads lie above one another"):
        export(composed(f"out={tmp_path}", "towns=[Town05]"))
