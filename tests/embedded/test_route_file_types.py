"""A route file whose last route has a scenario of an unknown type is refused before any drive."""

from pathlib import Path

import pytest

from sim_adapters.embedded.scenario_source import RouteFile
from sim_adapters.maps.opendrive import load_map_bank

_CROSSING = Path(__file__).parents[1] / "data" / "crossing.xodr"
_ROUTE = """<route id="{id}" town="crossing"><weathers/>
<waypoints><position x="-50" y="1.75" z="0"/><position x="50" y="1.75" z="0"/></waypoints>
<scenarios><scenario name="one" type="{kind}">
<trigger_point x="-40" y="1.75" z="0" yaw="0"/></scenario></scenarios></route>"""


def test_unknown_type_is_refused_before_the_first_route(tmp_path: Path) -> None:
    maps = load_map_bank([str(_CROSSING)])
    kinds = ("ControlLoss", "ParkingExit")
    routes = [_ROUTE.format(id=f"r{row}", kind=kind) for row, kind in enumerate(kinds)]
    path = tmp_path / "routes.xml"
    path.write_text(f"<routes>{routes[0]}</routes>")
    assert len(RouteFile(path, maps, 0).scenarios) == 1
    path.write_text(f"<routes>{''.join(routes)}</routes>")
    with pytest.raises(ValueError, match=r"'crossing_r1' has a trigger of type 'ParkingExit'"):
        RouteFile(path, maps, 0)
