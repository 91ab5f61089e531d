"""Which scenarios of a cache a Val14 run drives, all by name."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sim_adapters.nuplan.scenario_cache.file import REPORT_FILE, ScenarioCache
from sim_adapters.nuplan.scenario_cache.record import ScenarioName
from sim_adapters.nuplan.scenario_filter import ScenarioFilter
from sim_adapters.nuplan.scenario_mapping import absent_types

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Selection:
    """Scenarios to drive and those that can't be.

    Args:
        names: To drive, in the order of their tokens.
        missing: Why a wanted scenario is not among them, by token.
    """

    names: Sequence[ScenarioName]
    missing: Mapping[str, str]


def select(cache: ScenarioCache, wanted: ScenarioFilter) -> Selection:
    """What a filter means for a cache that was made with it, or with a wider one.

    Tokens, types, logs, maps and numbers of a type are applied. Thresholds on the drives and
    between them need the logs and belong to the making of the cache.

    Args:
        cache: Where the scenarios are.
        wanted: Filter; one without any key takes the whole cache, and all that its making skipped.

    Raises:
        ValueError: nothing is left to drive, or the filter names a type that nobody knows.
    """
    _name_empty_keys(cache, wanted)
    missing = {}
    chosen: list[ScenarioName] = []
    skipped = _skipped_by_cache(cache)
    for token in sorted(wanted.scenario_tokens or {*cache.tokens, *skipped}):
        if token not in cache.entries:
            missing[token] = skipped.get(token, "not in the cache")
            continue
        name = cache.entries[token].name
        reason = _other_than_wanted(name, wanted)
        if not reason:
            chosen.append(name)
        elif wanted.scenario_tokens:
            missing[token] = reason
    if wanted.num_scenarios_per_type is not None and not wanted.scenario_tokens:
        chosen = list(_first_of_each_type(chosen, wanted.num_scenarios_per_type))
    if not chosen:
        raise ValueError(
            f"no scenario to drive: {cache.folder} holds {len(cache)}, the filter takes none of "
            f"them"
        )
    return Selection(chosen, missing)


def _skipped_by_cache(cache: ScenarioCache) -> dict[str, str]:
    """Why the making of the cache left out a scenario, by token."""
    path = cache.folder / REPORT_FILE
    if not path.is_file():
        return {}
    try:
        report = json.loads(path.read_text())
        return {**report["missing_tokens"], **report["skipped"]}
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path} cannot be read ({error!r}): run the cache command again, which writes it anew"
        ) from error


def _name_empty_keys(cache: ScenarioCache, wanted: ScenarioFilter) -> None:
    """Say which types, logs and maps of the filter no scenario of the cache has."""
    names = [entry.name for entry in cache.entries.values()]
    types = absent_types(
        wanted.scenario_types or (), {name.scenario_type for name in names}, str(cache.folder)
    )
    logs, maps = {name.log_name for name in names}, {name.map_name for name in names}
    for what, absent in (
        ("scenario types", types),
        ("logs", [name for name in wanted.log_names or () if name not in logs]),
        ("maps", [name for name in wanted.map_names or () if name not in maps]),
    ):
        if absent:
            log.warning(
                "%d %s of the filter have no scenario in %s: %s%s",
                *(len(absent), what, cache.folder, ", ".join(absent[:5])),
                ", ..." if len(absent) > 5 else "",
            )


def _other_than_wanted(name: ScenarioName, wanted: ScenarioFilter) -> str:
    """Why a scenario of the cache is not what the filter takes, "" if it is."""
    for what, value, allowed in (
        ("type", name.scenario_type, wanted.scenario_types),
        ("log", name.log_name, wanted.log_names),
        ("map", name.map_name, wanted.map_names),
    ):
        if allowed is not None and value not in allowed:
            return f"its {what} {value} is not among those of the filter"
    return ""


def _first_of_each_type(names: Sequence[ScenarioName], count: int) -> Iterator[ScenarioName]:
    taken: dict[str, int] = defaultdict(int)
    for name in names:
        if taken[name.scenario_type] < count:
            taken[name.scenario_type] += 1
            yield name
