"""What the options of an official run mean, and the refusal of those that cannot be meant."""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf

from carl_planner.pretrained import shipped_or_own
from evaluation.leaderboard_jobs.evaluator_process import AGENT, EvaluatorSettings, Upstream
from evaluation.scoring.results_file import write_json
from sim_adapters.carla.servers import ServerSettings
from sim_adapters.maps.route_file import RouteSpec, read_routes
from sim_adapters.maps.safe_xml import read_xml
from sim_adapters.maps.town_files import find_town_file

_ID = re.compile(r"\d+(_\d+)*")  # what int() reads and a list of ids may hold
CHOICES_FILE, AGENT_FILE = "choices.json", "agent.yaml"
RECORDING_FILE = "ticks.npz"  # in the folder of each route, where its evaluator runs
# A folder holds drives of one agent: these may not change while it is being filled
_FIXED = (
    *("checkpoint", "driver", "agent", "agent_config", "routes"),
    "repair_scenario_runner",
)


def check_options(config: DictConfig) -> None:
    """Refuse what cannot be meant.

    Raises:
        ValueError: says what was found, what was expected and what to do.
    """
    if config.routes is None:
        raise ValueError("routes=FILE.xml is needed: a leaderboard 2 route file")
    if config.agent is None and "checkpoint" in config.driver and config.driver.checkpoint is None:
        raise ValueError("driver=policy needs checkpoint=PATH; rules do not, e.g. driver=idm")
    for name in ("seeds", "servers", "attempts"):
        if config[name] < 1:
            raise ValueError(f"{name}={config[name]}: at least one is needed")
    if config.hang_s <= config.timeout_s:
        raise ValueError(
            f"hang_s={config.hang_s} is not above timeout_s={config.timeout_s}: a slow server "
            "would be taken for a hanging evaluator"
        )


def chosen_routes(config: DictConfig) -> list[RouteSpec]:
    """Routes to drive and to score, in the order in which they were named.

    Raises:
        ValueError: the file lacks one of those named, none is left, or the evaluator could not read
            one of them.
    """
    specs = read_routes(config.routes)
    known = [spec.route_id for spec in specs]
    wanted, without = _ids(config.route) or known, _ids(config.without)
    unknown = sorted({*wanted, *without} - set(known))
    if unknown:
        raise ValueError(
            f"{config.routes} has no route {', '.join(unknown)}; it has {', '.join(known)}"
        )
    by_id = {spec.route_id: spec for spec in specs}
    chosen = [by_id[route_id] for route_id in wanted if route_id not in without]
    if not chosen:
        raise ValueError("no route is left to drive: look at route= and without=")
    check_readable(Path(config.routes), {spec.route_id for spec in chosen})
    return chosen


def check_towns(routes: list[RouteSpec], *, needs_maps: bool) -> None:
    """Refuse towns of which no map can be loaded, before a server starts for them.

    Args:
        routes: To drive.
        needs_maps: Our agent or the headless server drives there; other agents on a real CARLA may
            go anywhere.

    Raises:
        ValueError: names the route, and the towns that can be driven.
        FileNotFoundError: there is no file of a town.
    """
    for town in sorted({spec.town for spec in routes} if needs_maps else ()):
        ids = ", ".join(spec.route_id for spec in routes if spec.town == town)
        try:
            find_town_file(town)
        except (ValueError, FileNotFoundError) as error:
            raise type(error)(
                f"route {ids}: {error}. Leave routes out with without=[{ids}]"
            ) from error


def check_readable(path: Path, route_ids: set[str]) -> None:
    """Refuse what the evaluator's own reader stumbles over, once servers have started.

    Args:
        path: Route file.
        route_ids: Of the routes that will be driven.

    Raises:
        ValueError: says what was found, what was expected and what to do.
    """
    if path.suffix == ".gz":
        raise ValueError(f"{path}: the evaluator reads no compressed files: gunzip it first")
    for route in read_xml(path).iter("route"):
        route_id = route.get("id", "")
        if route_id not in route_ids:
            continue
        problem = _reading_problem(route, route_id)
        if problem:
            raise ValueError(
                f"{path}, route {route_id}: {problem}. sim_adapters.maps.route_file.write_routes "
                "writes what read_routes has read as the evaluator wants it"
            )


def _reading_problem(route: Element, route_id: str) -> str:
    """What the leaderboard's route parser could not read, or nothing."""
    if len(list(route.iterfind("waypoints/position"))) < 2:
        return "a leaderboard 1 route, the evaluator reads leaderboard 2: <waypoints> of <position>"
    if route.find("scenarios") is None:
        return "there is no <scenarios>, which may be empty"
    weathers = route.find("weathers")
    if weathers is not None and not list(weathers.iter("weather")):
        return "<weathers> holds no <weather>, which ends the evaluator in an IndexError"
    for weather in weathers.iter("weather") if weathers is not None else ():
        if not _is_number(weather.get("route_percentage", "")):
            return "a <weather> has no number as its route_percentage (0: from the start)"
    if not _ID.fullmatch(route_id):
        return (
            "the evaluator takes ids apart at commas and hyphens and sorts them as numbers: use one"
        )
    return ""


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _ids(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(entry) for entry in value] if isinstance(value, ListConfig) else [str(value)]


def write_agent_config(folder: Path, config: DictConfig) -> Path:
    """The file that evaluators give to the agent: another agent's own, or ours with our options."""
    if config.agent is not None:
        return Path(config.agent_config or "")
    driver = OmegaConf.to_container(config.driver, resolve=True)
    assert isinstance(driver, dict)
    if "checkpoint" in driver:
        driver["checkpoint"] = _absolute(driver["checkpoint"])
    chosen: dict[str, Any] = {
        "trust": list(config.trust),
        "driver": driver,
        "repair_scenario_runner": config.repair_scenario_runner,
        "recording": RECORDING_FILE if config.record else None,
    }
    path = folder / AGENT_FILE
    path.write_text(OmegaConf.to_yaml(OmegaConf.create(chosen)))
    return path


def _absolute(checkpoint: Any) -> Any:
    """Evaluators run in folders of their own: paths must not depend on that, nor names of ours."""
    if isinstance(checkpoint, list):
        return [_absolute(entry) for entry in checkpoint]
    return None if checkpoint is None else str(shipped_or_own(Path(checkpoint)).resolve())


def keep_choices(folder: Path, config: DictConfig) -> None:
    """Note what is driven in `folder`, and refuse to mix it with another agent's drives.

    Raises:
        ValueError: the folder was begun with other choices.
    """
    whole = OmegaConf.to_container(config, resolve=True)
    assert isinstance(whole, dict)
    choices = {name: whole[name] for name in _FIXED}
    path = folder / CHOICES_FILE
    if not path.is_file():
        write_json(path, choices)
        return
    earlier = json.loads(path.read_text())
    changed = [name for name in _FIXED if earlier.get(name) != choices[name]]
    if changed:
        name = changed[0]
        raise ValueError(
            f"{folder} holds drives with {name}={earlier.get(name)}, now it is "
            f"{name}={choices[name]}: choose another output="
        )


def evaluator_settings(config: DictConfig, upstream: Upstream) -> EvaluatorSettings:
    """How evaluators run; writes what their agents read into the run's folder."""
    folder = Path(config.output).resolve()
    keep_choices(folder, config)
    return EvaluatorSettings(
        upstream=upstream,
        routes=Path(config.routes).resolve(),
        agent_config=write_agent_config(folder, config),
        agent=Path(config.agent).resolve() if config.agent else AGENT,
        python=config.python or sys.executable,
        timeout_s=config.timeout_s,
        hang_s=config.hang_s,
        error_s=config.error_s,
    )


def server_settings(config: DictConfig) -> ServerSettings:
    """Which servers are started: those that the evaluators' interpreter can talk to."""
    logs = Path(config.output).resolve() / "servers"
    return instantiate(config.server, log_folder=str(logs), client_python=config.python)


def route_text(config: DictConfig, num_routes: int) -> str:
    """The routes as the report names them: a part of a file is never called the whole."""
    text = f"{num_routes} of {Path(config.routes).name}"
    without = ", ".join(map(str, config.without))
    return f"{text}, without {without}" if without else text
