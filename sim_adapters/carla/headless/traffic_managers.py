"""Calls by which clients find one another's TrafficManagers; these run in the clients."""

from __future__ import annotations

from typing import Any

from sim_adapters.carla.headless import wire_values as values
from sim_adapters.carla.headless.calls.dispatch import call

_NONE: tuple[str, int] = ("", 0)
_MAX_MANAGERS = 64


class TrafficManagerCalls:
    """Who registered a TrafficManager, by its port.

    A manager lives in its client's process: it is forgotten when that client's connection ends, so
    that the next client does not wait for the dead.
    """

    def __init__(self) -> None:
        self._hosts: dict[int, str] = {}
        self._owners: dict[int, object] = {}
        self.caller: object = None  # the connection whose call is being carried out

    def forget(self, owner: object) -> None:
        """A connection has ended."""
        for port in [port for port, other in self._owners.items() if other is owner]:
            self.remove(port)

    @call("is_traffic_manager_running")
    def is_running(self, port: Any) -> bool:
        """Whether a manager with this port is registered."""
        return values.whole(port, 0, 65535) in self._hosts

    @call("get_traffic_manager_running")
    def find(self, port: Any) -> list[Any]:
        """Host and port of a manager, or an empty host."""
        number = values.whole(port, 0, 65535)
        return [self._hosts[number], number] if number in self._hosts else list(_NONE)

    @call("add_traffic_manager_running")
    def add(self, info: Any) -> bool:
        """Register [host, port]; false if the port is taken."""
        host, port = values.items(info, 2)[:2]
        number = values.whole(port, 0, 65535)
        if number in self._hosts or len(self._hosts) >= _MAX_MANAGERS:
            return False
        self._hosts[number] = values.text(host, 255)
        self._owners[number] = self.caller
        return True

    @call("destroy_traffic_manager")
    def remove(self, port: Any) -> bool:
        """Forget a manager."""
        number = values.whole(port, 0, 65535)
        self._owners.pop(number, None)
        return self._hosts.pop(number, None) is not None
