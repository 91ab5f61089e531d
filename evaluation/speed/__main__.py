"""`python -m evaluation.speed [component=NAME[,NAME]] [json=PATH]`: measure, print, write JSON.

Figures are per core and the median of several windows; ratios are measured in one run. Machines
differ: quote a figure only with the table it came in.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from evaluation.speed import environment, nuplan, raster, servers
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


FIRST_STEP = """
import numpy as np
from sim_adapters.gymnasium_envs import make_embedded_vec
env = make_embedded_vec(2, ["experiment=demo"])
env.reset(seed=0)
env.step(np.zeros((2, 2), np.float32))
"""


def seconds_to_first_step(kernel_folder: str) -> float:
    """Wall time of a process that imports, composes, resets two worlds and steps once."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": kernel_folder}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", FIRST_STEP], check=True, env=environment)
    return time.perf_counter() - start


def measure_compile() -> list[Measurement]:
    """Cold start once (kernels compiled), then warm starts (kernels loaded); maps are cached."""
    with tempfile.TemporaryDirectory() as folder:
        cold = seconds_to_first_step(folder)
        warm = sorted(seconds_to_first_step(folder) for _ in range(3))
    return [
        Measurement("compile_s.cold", cold, "s", cold, cold, note="to the first step"),
        Measurement("compile_s.warm", warm[1], "s", warm[0], warm[2], note="to the first step"),
    ]


# By the key of the figures; a function that gives two keys runs once for both
COMPONENTS: dict[str, Callable[[], list[Measurement]]] = {
    "env_carl_bev": environment.measure_env_carl_bev,
    "env_vector": environment.measure_env_vector,
    "agent_steps": environment.measure_agent_steps,
    "env_profile": environment.measure_env_profile,
    "raster_carl_bev": raster.measure_raster,
    "raster_vs_opencv": raster.measure_raster,
    "nuplan_env": nuplan.measure_nuplan_env,
    "cache_read": nuplan.measure_cache_read,
    "val14_scenario_ms": nuplan.measure_scenario_ms,
    "val14_vs_devkit": nuplan.measure_vs_devkit,
    "train_demo": environment.measure_train_demo,
    "train_driver": environment.measure_train_driver,
    "train_carl": environment.measure_train_carl,
    "ddp_efficiency": environment.measure_ddp_efficiency,
    "compile_s": measure_compile,
    "play": servers.measure_play,
    "headless_ticks": servers.measure_headless_ticks,
    "headless_tm_ticks": servers.measure_headless_tm_ticks,
}


def parse_arguments(arguments: Sequence[str]) -> dict[str, str]:
    """`key=value` words as a dictionary.

    Raises:
        SystemExit: an unknown key, an unknown component, or a request for help.
    """
    usage = f"{__doc__}\ncomponents: {', '.join(COMPONENTS)}"
    if any(word in ("-h", "--help") for word in arguments):
        raise SystemExit(usage)
    pairs = [word.partition("=") for word in arguments]
    options = {key: value for key, _, value in pairs}
    unknown = set(options) - {"component", "json"}
    if unknown or set(chosen_components(options)) - set(COMPONENTS):
        raise SystemExit(f"not understood: {' '.join(arguments)}\n{usage}")
    return options


def chosen_components(options: Mapping[str, str]) -> list[str]:
    """Names after `component=`, with or without the brackets that other commands want."""
    text = options.get("component", "").removeprefix("[").removesuffix("]")
    return [name.strip() for name in text.split(",") if name.strip()]


def by_function(names: Sequence[str]) -> dict[Callable[[], list[Measurement]], list[str]]:
    """Chosen components by the function that measures them, so that each runs once."""
    functions: dict[Callable[[], list[Measurement]], list[str]] = {}
    for name in dict.fromkeys(names):
        functions.setdefault(COMPONENTS[name], []).append(name)
    return functions


def show(measurements: Sequence[Measurement]) -> None:
    """Print the table of all figures."""
    table = Table(title=f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    for column in ("key", "median", "lowest", "highest", "unit", "demand", "at"):
        table.add_column(column, justify="left" if column in ("key", "unit", "at") else "right")
    for m in measurements:
        colour = "" if not m.demand else "[green]" if m.meets_demand else "[red]"
        figures = (f"{colour}{m.value:,.4g}", f"{m.low:,.4g}", f"{m.high:,.4g}")
        table.add_row(m.key, *figures, m.unit, m.demand, m.note)
    Console(width=150).print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the chosen components (all by default)."""
    options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    measurements: list[Measurement] = []
    for measure, names in by_function(chosen_components(options) or list(COMPONENTS)).items():
        Console(stderr=True).print(f"measuring {', '.join(names)} ...")
        measurements += measure()
    show(measurements)
    if "json" in options:
        write_document(Path(options["json"]), measurements)


if __name__ == "__main__":
    main()
