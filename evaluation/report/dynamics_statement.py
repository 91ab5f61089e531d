"""What reports say about the ego's dynamics: compared with recorded CARLA drives, or not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from sim_adapters.kernel_cache import cache_root
from sim_adapters.world import dynamics, ego_speed
from sim_adapters.world.dynamics_check import HorizonErrors

UNVALIDATED = (
    "unvalidated: no recording of a real CARLA ego was compared with them "
    "(python -m evaluation.dynamics_check recording=PATH)"
)
_FILE = "dynamics_check.json"


def keep_check(rows: Sequence[HorizonErrors], num_drives: int) -> Path:
    """Remember a check of these sources for later reports; where it is kept."""
    together = [row for row in rows if row.name == "all" and row.position_m.size]
    record = {
        "sources": _sources_hash(),
        "drives": num_drives,
        "errors": [
            {
                "horizon_s": row.horizon_s,
                "position_m": float(row.position_m.mean()),
                "speed_mps": float(row.speed_mps.mean()),
            }
            for row in together
        ],
    }
    path = cache_root() / _FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2))
    return path


def dynamics_statement() -> str:
    """One line for a report; a check of other sources than these counts for nothing."""
    try:
        record = json.loads((cache_root() / _FILE).read_text())
        if record["sources"] != _sources_hash() or not record["errors"]:
            return UNVALIDATED
        errors = ", ".join(
            f"{error['position_m']:.2f} m and {error['speed_mps']:.2f} m/s after "
            f"{error['horizon_s']:.0f} s"
            for error in record["errors"]
        )
        return f"compared with {record['drives']} recorded CARLA drives, mean errors {errors}"
    except (OSError, ValueError, KeyError, TypeError):  # never checked, or the file is damaged
        return UNVALIDATED


def _sources_hash() -> str:
    digest = hashlib.sha256()
    for module in (dynamics, ego_speed):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:16]
