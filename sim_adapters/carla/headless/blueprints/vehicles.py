"""Blueprints of vehicles: sizes from the embedded world's catalogue of measured CARLA bodies.

Masses are estimates from the box's volume.
"""

from __future__ import annotations

from sim_adapters.carla.headless.actor_arrays import Kind
from sim_adapters.carla.headless.blueprints.form import (
    BOOL,
    COLOR,
    INT,
    STRING,
    Attribute,
    Blueprint,
)
from sim_adapters.scene.state import ActorKind
from sim_adapters.world import vehicle_catalogue as catalogue

_CAR_KG_PER_M3 = 135.0  # gives a mid-size car its 1.8 t
_SECOND_GENERATION = frozenset(
    (
        "dodge.charger_2020",
        "dodge.charger_police_2020",
        "ford.crown",
        "lincoln.mkz_2020",
        "mercedes.coupe_2020",
        "mini.cooper_s_2021",
        "nissan.patrol_2021",
        "ford.ambulance",
        "mercedes.sprinter",
        "volkswagen.t2_2021",
        "carlamotors.firetruck",
        "tesla.cybertruck",
        "mitsubishi.fusorosa",
    )
)
_SPECIAL = {
    "ford.ambulance": "emergency",
    "carlamotors.firetruck": "emergency",
    "dodge.charger_police": "emergency",
    "dodge.charger_police_2020": "emergency",
    "ford.crown": "taxi",
    "tesla.model3": "electric",
    "tesla.cybertruck": "electric",
    "audi.etron": "electric",
    "micro.microlino": "electric",
}
# Those whose lamps can be switched, as far as CARLA's vehicle catalogue tells
_WITH_LIGHTS = frozenset(
    (
        "audi.tt",
        "chevrolet.impala",
        "dodge.charger_2020",
        "dodge.charger_police",
        "dodge.charger_police_2020",
        "ford.crown",
        "ford.mustang",
        "lincoln.mkz_2017",
        "lincoln.mkz_2020",
        "mercedes.coupe",
        "mercedes.coupe_2020",
        "mini.cooper_s_2021",
        "nissan.patrol_2021",
        "tesla.model3",
        "audi.etron",
        "volkswagen.t2_2021",
        "ford.ambulance",
        "mercedes.sprinter",
        "carlamotors.firetruck",
        "tesla.cybertruck",
        "volkswagen.t2",
        "harley-davidson.low_rider",
        "kawasaki.ninja",
        "vespa.zx125",
        "yamaha.yzf",
        "mitsubishi.fusorosa",
        "carlamotors.european_hgv",
    )
)
_BUSES = frozenset({"mitsubishi.fusorosa"})
_KIND_NAMES = {
    ActorKind.CAR: "car",
    ActorKind.VAN: "van",
    ActorKind.TRUCK: "truck",
    ActorKind.MOTORCYCLE: "motorcycle",
    ActorKind.BICYCLE: "bicycle",
}
_TAG_OF_BASE = {"car": 14, "van": 14, "truck": 15, "bus": 16, "motorcycle": 18, "bicycle": 19}
_COLORS = ("255,255,255", "0,0,0", "134,134,134", "137,0,0", "38,63,110", "193,193,193")


def vehicle_blueprints() -> list[Blueprint]:
    """CARLA's 41 vehicles."""
    blueprints: list[Blueprint] = []
    for row, name in enumerate(catalogue.VEHICLE_NAMES):
        base = _KIND_NAMES[ActorKind(int(catalogue.VEHICLE_KIND[row]))]
        base = "bus" if name in _BUSES else base
        half = (
            float(catalogue.VEHICLE_HALF_LENGTH_M[row]),
            float(catalogue.VEHICLE_HALF_WIDTH_M[row]),
            float(catalogue.VEHICLE_HALF_HEIGHT_M[row]),
        )
        if row == catalogue.EGO_VEHICLE:
            half = (
                catalogue.EGO_HALF_LENGTH_M,
                catalogue.EGO_HALF_WIDTH_M,
                catalogue.EGO_HALF_HEIGHT_M,
            )
        blueprints.append(
            Blueprint(
                f"vehicle.{name}",
                Kind.VEHICLE,
                _vehicle_attributes(name, base),
                half,
                (0.0, 0.0, half[2]),
                _CAR_KG_PER_M3 * 8.0 * half[0] * half[1] * half[2],
                _TAG_OF_BASE[base],
                is_solid=True,
            )
        )
    return blueprints


def _vehicle_attributes(name: str, base: str) -> tuple[Attribute, ...]:
    two_wheeled = base in ("motorcycle", "bicycle")
    return (
        ("number_of_wheels", INT, "2" if two_wheeled else "4", (), False),
        ("object_type", STRING, "", (), False),
        ("base_type", STRING, base, (), False),
        ("special_type", STRING, _SPECIAL.get(name, ""), (), False),
        ("generation", INT, "2" if name in _SECOND_GENERATION else "1", (), False),
        ("has_lights", BOOL, "true" if name in _WITH_LIGHTS else "false", (), False),
        ("has_dynamic_doors", BOOL, "false", (), False),
        ("sticky_control", BOOL, "true", (), True),
        ("terramechanics", BOOL, "false", (), True),
        ("color", COLOR, _COLORS[0], _COLORS, True),
        ("role_name", STRING, "autopilot", ("autopilot", "scenario", "ego_vehicle"), True),
    )
