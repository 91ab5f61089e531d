"""Makes nuPlan logs and maps: `python -m sim_adapters.nuplan.export out=DIR [preset=demo]`.

Keys and their defaults are in configs/nuplan_export.yaml; `--help` prints them.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

import hydra
from hydra.utils import instantiate
from omegaconf import DictConfig

from sim_adapters.nuplan.export.data_set import (
    MadeLog,
    count_types,
    make_data_set,
    tagged_frames,
    write_filter,
)

_logger = logging.getLogger("sim_adapters.nuplan.export")


@hydra.main(config_path="pkg://configs", config_name="nuplan_export", version_base="1.3")
def main(config: DictConfig) -> None:
    """The hydra command."""
    try:
        export(config)
    except (OSError, ValueError) as error:
        raise SystemExit(f"error: {error}") from error


def export(config: DictConfig) -> None:
    """Make the data set that the configuration describes and say what is in it.

    Raises:
        ValueError: no folder is named, or the set cannot be made there.
    """
    if config.out is None:
        raise ValueError("out is missing: name the folder of the data set, out=DIR")
    logging.getLogger("pyogrio").setLevel(logging.WARNING)  # it counts every layer's rows
    out, towns = Path(config.out), list(config.towns)
    total, start = len(towns) * config.drives_per_town, time.perf_counter()
    made = make_data_set(
        out,
        towns,
        config.drives_per_town,
        instantiate(config.drives),
        num_workers=config.num_workers,
    )
    for number, log in enumerate(made, 1):
        _logger.info("%d/%d %s", number, total, _describe(log))
    logs = sorted((out / "logs").glob("*.db"))
    for kind, count in count_types(logs).items():
        _logger.info("%5d %s", count, kind)
    selected = write_filter(out / "filter.yaml", logs, config.max_per_type)
    _logger.info(
        "%d scenarios in %s (%d logs, %.0f MB) after %.0f s",
        selected,
        out / "filter.yaml",
        len(logs),
        sum(log.stat().st_size for log in logs) / 1e6,
        time.perf_counter() - start,
    )


def _describe(log: MadeLog) -> str:
    size_mb, what = log.path.stat().st_size / 1e6, "" if log.is_new else " (was there)"
    return f"{log.path}: {size_mb:.0f} MB, {len(tagged_frames(log.path))} scenarios{what}"


if __name__ == "__main__":
    main()
