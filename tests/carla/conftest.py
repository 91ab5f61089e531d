"""One headless server for all tests here, and a synchronous client of it."""

from __future__ import annotations

from collections.abc import Iterator

import carla
import pytest

from sim_adapters.carla.headless.process import HeadlessServer

TIMEOUT_S = 60.0
STEP_S = 0.05


@pytest.fixture(scope="session")
def server() -> Iterator[HeadlessServer]:
    with HeadlessServer("Town01") as running:
        yield running


@pytest.fixture(scope="session")
def client(server: HeadlessServer) -> carla.Client:
    connected = carla.Client("127.0.0.1", server.port)
    connected.set_timeout(TIMEOUT_S)
    return connected


@pytest.fixture
def world(client: carla.Client) -> Iterator[carla.World]:
    """A synchronous world that is empty before and after the test."""
    fresh = client.get_world()
    settings = fresh.get_settings()
    settings.synchronous_mode = True
    settings.fixed_delta_seconds = STEP_S
    fresh.apply_settings(settings)
    yield fresh
    for actor in fresh.get_actors():
        if actor.type_id.startswith(("vehicle", "walker", "sensor", "static", "controller")):
            actor.destroy()
    fresh.tick()
