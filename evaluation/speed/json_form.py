"""The JSON form of speed figures: an object with one entry for each key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evaluation.speed.stopwatch import Measurement


def as_document(measurements: Sequence[Measurement]) -> dict[str, Any]:
    """Figures by key; those of a key with a dot lie one level below.

    `env_vector` gives {"env_vector": {"value": ...}}, `raster_carl_bev.nearest` gives
    {"raster_carl_bev": {"nearest": {"value": ...}}}.
    """
    document: dict[str, Any] = {}
    for measurement in measurements:
        fields = asdict(measurement)
        node = document
        for name in fields.pop("key").split("."):
            node = node.setdefault(name, {})
        node |= fields
    return document


def write_document(path: Path, measurements: Sequence[Measurement]) -> None:
    """Write the form to `path`, whose folder is made if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(as_document(measurements), indent=2, allow_nan=False) + "\n")
