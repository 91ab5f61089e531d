"""The nuPlan scenarios that speed is measured on: one exported drive, made once and kept."""

from __future__ import annotations

from pathlib import Path

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate

from sim_adapters.kernel_cache import cache_root
from sim_adapters.nuplan.export.data_set import make_data_set
from sim_adapters.nuplan.export.log_summary import write_filter
from sim_adapters.nuplan.scenario_cache.build import CacheJob, build_cache
from sim_adapters.nuplan.scenario_cache.file import ScenarioCache, open_cache
from sim_adapters.nuplan.scenario_filter import load_filter

TOWN = "Town02"
DRIVE_S = 120.0


def speed_folder() -> Path:
    """Where the set lies: logs/, maps/ and cache/."""
    return cache_root() / "speed" / "nuplan"


def speed_scenarios() -> ScenarioCache:
    """All tagged scenarios of the drive, exported if they are not there yet."""
    folder = speed_folder()
    if not (folder / "cache" / "index.json").is_file():
        GlobalHydra.instance().clear()
        with initialize_config_module("configs", version_base="1.3"):
            overrides = [f"out={folder}", f"drives.drive_s={DRIVE_S}"]
            settings = instantiate(compose("nuplan_export", overrides).drives)
        logs = [made.path for made in make_data_set(folder, [TOWN], 1, settings)]
        write_filter(folder / "filter.yaml", logs, None)
        wanted = load_filter(folder / "filter.yaml")
        build_cache(CacheJob((folder / "logs",), folder / "maps", wanted, folder / "cache"))
    return open_cache(folder / "cache")
