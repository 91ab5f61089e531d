"""Makes a scenario cache: `python -m sim_adapters.nuplan.cache data_root=... map_root=...`.

Keys and their defaults are in configs/nuplan_cache.yaml; `--help` prints them.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import hydra
from omegaconf import DictConfig, OmegaConf

from sim_adapters.nuplan.scenario_cache.build import CacheJob, build_cache
from sim_adapters.nuplan.scenario_cache.file import REPORT_FILE
from sim_adapters.nuplan.scenario_cache.report import CacheReport
from sim_adapters.nuplan.scenario_filter import load_filter
from sim_adapters.nuplan.scenario_mapping import ScenarioMapping, load_mapping

log = logging.getLogger(__name__)


@hydra.main(config_path="pkg://configs", config_name="nuplan_cache", version_base="1.3")
def main(config: DictConfig) -> None:
    """The hydra command."""
    try:
        report = make_cache(config)
    except (OSError, ValueError) as error:
        raise SystemExit(f"error: {error}") from error
    for line in report.summary().splitlines():
        log.info(line)
    log.info("every name is in %s", Path(config.out) / REPORT_FILE)
    if report.num_cached == 0:
        raise SystemExit("error: no scenario was cached")


def make_cache(config: DictConfig) -> CacheReport:
    """Make the cache that the configuration describes."""
    missing = [key for key in ("data_root", "map_root", "filter", "out") if config[key] is None]
    if missing:
        raise ValueError(f"{', '.join(f'{key}=...' for key in missing)} must be given")
    roots = [config.data_root] if isinstance(config.data_root, str) else list(config.data_root)
    changes = OmegaConf.to_container(config.filter_changes)
    assert isinstance(changes, dict)
    job = CacheJob(
        data_root=tuple(Path(root).expanduser() for root in roots),
        map_root=Path(config.map_root).expanduser(),
        scenario_filter=load_filter(
            config.filter,
            splitter=config.splitter,
            **{str(key): value for key, value in changes.items()},
        ),
        out=Path(config.out).expanduser(),
        mapping=ScenarioMapping() if config.mapping is None else load_mapping(config.mapping),
        map_version=config.map_version,
        num_workers=config.num_workers or os.cpu_count() or 1,
    )
    return build_cache(job)


if __name__ == "__main__":
    main()
