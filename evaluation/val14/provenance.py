"""What scores of a scenario cache may be called: only nuPlan's own logs give nuPlan scores.

Of those, only the scenarios of Val14's own filter are Val14; any other filter names its scores.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sim_adapters.nuplan.scenario_cache.record import ScenarioName

NUPLAN_LOCATIONS = (
    "us-nv-las-vegas-strip",
    "us-ma-boston",
    "us-pa-pittsburgh-hazelwood",
    "sg-one-north",
)
BENCHMARKS = {"val14_split": "Val14"}  # by the name of the filter's file
# Date, time, car and two numbers of the drive, e.g. 2021.05.12.22.00.38_veh-35_01008_01518
_NUPLAN_LOG = re.compile(r"\d{4}(\.\d\d){5}_veh-\d+_\d+_\d+")


@dataclass(frozen=True)
class Provenance:
    """Names of a data set, and what its scores are not.

    Args:
        score_name: What tables and titles call the scores.
        warning: One sentence, below every table.
        limits: What differs from the benchmark itself.
    """

    score_name: str
    warning: str
    limits: Sequence[str]


SYNTHETIC = Provenance(
    score_name="synthetic scores",
    warning="These are synthetic scores, not nuPlan results.",
    limits=(
        "The logs are drives of this project's own world on synthetic maps, or other logs that are "
        "not nuPlan's; nobody's published scores can be compared with these.",
        "Simulation and metrics follow nuPlan's devkit and are checked against it number by "
        "number; the traffic, the scenes and the expert are not nuPlan's.",
    ),
)
NUPLAN = Provenance(
    score_name="nuPlan scores of no named filter",
    warning="Computed by this project, checked against the devkit's runner on exported logs.",
    limits=(
        "Logs and maps are taken to be nuPlan's by their names.",
        "A policy acts through CaRL's one-stage controller; planners that give trajectories are "
        "tracked by the devkit's LQR. Compare the two with care.",
    ),
)


def provenance(names: Sequence[ScenarioName], filter_name: str = "") -> Provenance:
    """NUPLAN if all logs and maps bear names of nuPlan's, else SYNTHETIC; titled by the filter.

    Args:
        names: Scenarios that are driven.
        filter_name: Of the filter that chose them, `val14_split` for Val14.
    """
    genuine = all(
        name.map_name in NUPLAN_LOCATIONS and _NUPLAN_LOG.fullmatch(name.log_name) for name in names
    )
    data = NUPLAN if genuine else SYNTHETIC
    if not filter_name:
        return data
    title = BENCHMARKS.get(filter_name, filter_name)
    name = f"{title} scores" if genuine else f"{data.score_name} of {filter_name}"
    return replace(data, score_name=name)
