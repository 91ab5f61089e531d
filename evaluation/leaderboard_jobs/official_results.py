"""Reads the leaderboard's records as EpisodeResults and joins them into one results file.

Scores are the evaluator's own to the last digit; infractions are read out of its sentences.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.leaderboard_jobs.job import RouteJob, read_record
from evaluation.scoring.episode_result import (
    EpisodeEnd,
    EpisodeResult,
    Infraction,
    InfractionKind,
    penalty_factor,
)
from evaluation.scoring.results_file import LABELS, OTHER_DIGITS, RESULTS_FILE, SCORE_DIGITS
from evaluation.scoring.scores import natural_key

SCORE_NAMES = ("score_composed", "score_route", "score_penalty")
# The evaluator's sentences round shares to hundredths of a percent
_PENALTY_TOLERANCE = 1e-3
_PLACE = re.compile(r"\(x=(?P<x>[-\d.e]+), y=(?P<y>[-\d.e]+), z=(?P<z>[-\d.e]+)\)")
_PERCENT = re.compile(r"(?P<percent>[\d.e+-]+)%")
_METERS = re.compile(r"about (?P<meters>[\d.e+-]+) meters")
_ROUTE = re.compile(r"RouteScenario_(?P<route>.+)_rep(?P<repetition>\d+)")
_OTHER = re.compile(r"type=(?P<type>\S+) and id=(?P<id>\d+)")


class MissingRoutesError(ValueError):
    """No score: some route has no record."""


@dataclass(frozen=True)
class OfficialResult(EpisodeResult):
    """A route as the official evaluator judged it."""

    score_penalty: float = 1.0  # the evaluator's own product

    @property
    def infraction_score(self) -> float:
        """The evaluator's `score_penalty`."""
        return self.score_penalty


def official_results(
    jobs: Sequence[RouteJob], reasons: Mapping[RouteJob, str] | None = None
) -> list[OfficialResult]:
    """The results of all jobs.

    Args:
        jobs: Every route with every seed that the benchmark demands.
        reasons: Why some have no record, if known.

    Raises:
        MissingRoutesError: names every job without a record.
        ValueError: a record that contradicts itself.
    """
    records = {job: read_record(job) for job in jobs}
    missing = [job for job, record in records.items() if record is None]
    if missing:
        known = reasons or {}
        lines = [f"  {job.name} ({job.town}): {known.get(job, 'not driven')}" for job in missing]
        raise MissingRoutesError(
            f"no score while {len(missing)} of {len(jobs)} drives are missing:\n"
            + "\n".join(lines)
            + "\nThe same command tries them again; without=[ID,...] scores the others and says so"
        )
    return [official_result(job, record) for job, record in records.items() if record is not None]


def official_result(job: RouteJob, record: Mapping[str, Any]) -> OfficialResult:
    """One record of the evaluator's.

    Raises:
        ValueError: its infractions don't give its penalty.
    """
    infractions = read_infractions(record)
    scores, meta = record["scores"], record["meta"]
    found = math.prod(penalty_factor(infraction) for infraction in infractions)
    if abs(found - scores["score_penalty"]) > _PENALTY_TOLERANCE:
        raise ValueError(
            f"{job.record_file}: the infractions listed give a penalty of {found:.4f}, the "
            f"evaluator's is {scores['score_penalty']:.4f}: is this leaderboard 2.0 or 2.1?"
        )
    length_m, duration_s = float(meta["route_length"]), float(meta["duration_game"])
    gained_m = length_m * scores["score_route"] / 100.0
    return OfficialResult(
        route_id=job.route_id,
        town=job.town,
        seed=job.seed,
        length_m=length_m,
        route_completion=float(scores["score_route"]),
        infractions=infractions,
        end=_end_of(record["status"]),
        duration_s=duration_s,
        wall_s=float(meta["duration_system"]),
        mean_actors=math.nan,  # the evaluator does not say
        mean_speed_mps=gained_m / duration_s if duration_s > 0.0 else 0.0,
        outside_lanes_m=outside_lanes_m(record),
        episode_return=math.nan,
        score_penalty=float(scores["score_penalty"]),
    )


def read_official(folder: Path) -> tuple[list[OfficialResult], dict[str, Any]]:
    """The routes of a finished run of `evaluation.longest6_official`, and what was run.

    Raises:
        FileNotFoundError: the folder has no results.json.
        ValueError: it is none of that command's, or damaged.
    """
    path = folder / RESULTS_FILE
    try:
        document = json.loads(path.read_text())
        about = dict(document["about"])
        first_seed = int(about["seeds"].split()[0])  # "0 to 2"
        found = []
        for record in document["_checkpoint"]["records"]:
            match = _ROUTE.fullmatch(record["route_id"])
            if match is None:
                raise ValueError(f"route_id {record['route_id']!r}")
            seed = first_seed + int(match["repetition"])
            town = str(record.get("town_name", ""))
            job = RouteJob(match["route"], town, seed, folder / str(record["route_id"]))
            found.append(official_result(job, record))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is no results.json of evaluation.longest6_official ({error!r})"
        ) from error
    return found, about


def read_infractions(record: Mapping[str, Any]) -> tuple[Infraction, ...]:
    """All infractions of a record, in our frame; the evaluator notes no times."""
    return tuple(
        _infraction(kind, text)
        for kind in InfractionKind
        for text in record["infractions"].get(kind.value, ())
    )


def _infraction(kind: InfractionKind, text: str) -> Infraction:
    place, percent, other = _PLACE.search(text), _PERCENT.search(text), _OTHER.search(text)
    x, y, z = (float(place[axis]) for axis in "xyz") if place else (math.nan,) * 3
    return Infraction(
        kind,
        time_s=math.nan,
        x=x,
        y=0.0 - y,  # CARLA's y points right
        z=z,
        percent=float(percent["percent"]) if percent else 0.0,
        other_id=int(other["id"]) if other else 0,
        other_type=other["type"] if other else "",
    )


def outside_lanes_m(record: Mapping[str, Any]) -> float:
    """Metres driven outside of the route's lanes."""
    texts = record["infractions"].get(InfractionKind.OUTSIDE_ROUTE_LANES.value, ())
    found = [match for text in texts if (match := _METERS.search(text))]
    return sum(float(match["meters"]) for match in found)


def _end_of(status: str) -> EpisodeEnd:
    return EpisodeEnd.COMPLETED if status == "Perfect" else EpisodeEnd(status)


# One file ----------------------------------------------------------------------------------------


def merged_document(
    results: Sequence[OfficialResult],
    records: Sequence[Mapping[str, Any]],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """The leaderboard's own result document of all routes, as its merge script computes it.

    Args:
        results: Of `official_results`.
        records: The evaluator's records in the same order.
        about: What was run; ours, the leaderboard's tools ignore it.
    """
    seeds = sorted({result.seed for result in results})
    keyed = sorted(
        zip(results, records, strict=True),
        key=lambda pair: (natural_key(pair[0].route_id), pair[0].seed),
    )
    rows = []
    for index, (result, record) in enumerate(keyed):
        route_id = f"RouteScenario_{result.route_id}_rep{seeds.index(result.seed)}"
        rows.append({**record, "index": index, "route_id": route_id})
    overall = _global_record(rows)
    values = {**overall["scores_mean"], **overall["infractions"]}
    return {
        "_checkpoint": {
            "global_record": overall,
            "progress": [len(rows), len(rows)],
            "records": rows,
        },
        "entry_status": "Finished",
        "eligible": False,  # only the leaderboard's organisers can say so
        "sensors": [],
        "values": [str(values[key]) for key in LABELS],
        "labels": list(LABELS.values()),
        "about": dict(about),
    }


def _global_record(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    means = {
        name: round(sum(row["scores"][name] for row in rows) / len(rows), SCORE_DIGITS)
        for name in SCORE_NAMES
    }
    failed = [row for row in rows if "Failed" in row["status"]]
    perfect = all(row["status"] == "Perfect" for row in rows)
    totals = {
        key: round(sum(row["meta"][key] for row in rows), OTHER_DIGITS)
        for key in ("duration_game", "duration_system")
    }
    return {
        "index": -1,
        "route_id": -1,
        "status": "Failed" if failed else ("Perfect" if perfect else "Completed"),
        "infractions": _infraction_rates(rows),
        "scores_mean": means,
        "scores_std_dev": {name: _deviation(rows, name, means[name]) for name in SCORE_NAMES},
        "meta": {
            "total_length": round(sum(row["meta"]["route_length"] for row in rows), OTHER_DIGITS),
            **totals,
            "exceptions": [[row["route_id"], row["index"], row["status"]] for row in failed],
        },
    }


def _deviation(rows: Sequence[Mapping[str, Any]], name: str, mean: float) -> float:
    if len(rows) < 2:
        return 0.0
    squares = sum((row["scores"][name] - mean) ** 2 for row in rows)
    return round(math.sqrt(squares / (len(rows) - 1)), OTHER_DIGITS)


def _infraction_rates(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Infractions per driven kilometre; kilometres outside of lanes, which are not divided."""
    driven_km = sum(
        row["meta"]["route_length"] / 1000.0 * row["scores"]["score_route"] / 100.0 for row in rows
    )
    rates = {}
    for kind in InfractionKind:
        if kind is InfractionKind.OUTSIDE_ROUTE_LANES:
            rates[kind.value] = round(sum(map(outside_lanes_m, rows)) / 1000.0, OTHER_DIGITS)
        else:
            number = sum(len(row["infractions"].get(kind.value, ())) for row in rows)
            rates[kind.value] = round(number / max(driven_km, 0.001), OTHER_DIGITS)
    return rates
