"""What scores of the official evaluator may be called, by the server they were driven on."""

from __future__ import annotations

from evaluation.report.dynamics_statement import dynamics_statement
from evaluation.scoring.infractions import InfractionKind
from evaluation.scoring.scored_world import ScoredWorld

CARLA_COLUMN = "real CARLA"
SCENARIO_RATES = {InfractionKind.SCENARIO_TIMEOUT: "scenario timeouts / km"}


def headless_world(version: str) -> ScoredWorld:
    """Scores from the headless server.

    Args:
        version: CARLA's version whose protocol it speaks.
    """
    return ScoredWorld(
        place=f"on carl-planner's headless server (CARLA {version} protocol), by the unmodified "
        "evaluator",
        score_title="headless driving score",
        warning="Headless DS: not a CARLA or longest6 result.",
        limits=(
            "No Unreal: the towns are CARLA's road maps, vehicles move by this project's fitted "
            "car, contacts are those of boxes, the ground is flat across a lane.",
            f"The car's dynamics: {dynamics_statement()}.",
            "Traffic is CARLA's own TrafficManager, scenarios, criteria and score are the "
            "unmodified scenario_runner's and leaderboard's.",
            "The agent is privileged: it sees the true state of the world, no sensors.",
        ),
        column_suffix=": headless DS",
        unmeasured=(CARLA_COLUMN,),
        more_rates=SCENARIO_RATES,
    )


def unreal_world(version: str) -> ScoredWorld:
    """Scores from CARLA itself."""
    return ScoredWorld(
        place=f"in CARLA {version}, by the unmodified evaluator",
        score_title="driving score",
        warning=f"Measured in CARLA {version}.",
        limits=("The agent is privileged: it sees the true state of the world, no sensors.",),
        column_suffix=": CARLA DS",
        more_rates=SCENARIO_RATES,
    )
