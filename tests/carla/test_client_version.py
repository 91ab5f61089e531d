"""Headless servers speak the protocol of the client library that will connect to them."""

from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module

from evaluation.leaderboard_jobs.official_options import server_settings
from sim_adapters.carla.headless.process import client_version
from sim_adapters.carla.servers import LiveServer, ServerSettings, describe

FIRST_PORT = 26_200  # of these tests


@pytest.fixture(autouse=True)
def _no_carla(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CARLA_ROOT", raising=False)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have the packages' metadata say that this process' client library is of a release."""

    def of_release(release: str) -> None:
        versions = {"carla": release}
        monkeypatch.setattr(metadata, "version", lambda name: versions[name])

    return of_release


@pytest.fixture
def python(tmp_path: Path) -> Callable[[str], str]:
    """Stands in for an interpreter that answers what the given line of shell says."""

    def that_runs(line: str) -> str:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)
        return str(path)

    return that_runs


def test_the_library_of_this_process_is_spoken_to() -> None:
    installed = metadata.version("carla")
    assert client_version() == ".".join(installed.split(".")[:3])
    assert f"CARLA {client_version()}'s protocol" in describe(ServerSettings(), 2)


@pytest.mark.parametrize("release", ["0.9.15", "0.9.15.post1", "0.9.15+py311"])
def test_a_server_that_a_run_starts_is_of_its_clients_release(
    install: Callable[[str], None], release: str
) -> None:
    install(release)
    assert ServerSettings().server_command(2000, "Town01")[-1] == "version=0.9.15"


def test_a_started_server_answers_with_the_clients_release(install: Callable[[str], None]) -> None:
    install("0.9.15")
    settings = ServerSettings(first_port=FIRST_PORT, start_timeout_s=300.0)
    server = LiveServer(settings, 0, 1, town="Town01", step_s=0.1)
    server.start()
    try:
        assert server.version() == "0.9.15"
    finally:
        server.stop()


def test_an_unsupported_library_is_one_clear_error(install: Callable[[str], None]) -> None:
    install("0.9.14")
    with pytest.raises(
        ValueError,
        match=r"carla 0\.9\.14 .*not spoken here: use 0\.9\.15 or 0\.9\.16, by pip install",
    ):
        ServerSettings()


def test_servers_that_are_not_headless_take_any_library(
    install: Callable[[str], None], tmp_path: Path
) -> None:
    install("0.10.0")
    (tmp_path / "CarlaUE4.sh").touch()
    assert ServerSettings(carla_root=str(tmp_path)).kind == "unreal"
    assert ServerSettings(kind="running").headless_version is None
    assert ServerSettings(command=("my_server", "{port}")).server_command(7, "") == [
        "my_server",
        "7",
    ]


def test_the_evaluators_interpreter_decides_where_one_is_named(
    install: Callable[[str], None], python: Callable[[str], str]
) -> None:
    install("0.9.16")
    with initialize_config_module("configs", version_base="1.3"):
        config = compose("longest6_official", [f"python={python('echo 0.9.15')}"])
        assert server_settings(config).server_command(2000, "Town01")[-1] == "version=0.9.15"
        config = compose("longest6_official")
        assert server_settings(config).server_command(2000, "Town01")[-1] == "version=0.9.16"


def test_an_interpreter_of_no_use_is_named(python: Callable[[str], str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no CARLA client library of .*/python: pip install"):
        client_version(python("exit 1"))
    with pytest.raises(ValueError, match=r"carla 0\.9\.13 of .*/python finds no headless server"):
        client_version(python("echo 0.9.13"))
    with pytest.raises(ValueError, match=r"python=.*/nowhere does not run"):
        client_version(str(tmp_path / "nowhere"))
