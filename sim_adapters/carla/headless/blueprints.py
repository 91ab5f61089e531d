"""The blueprint library: what can be spawned, with attributes, boxes, masses and tags.

Sizes come from the embedded world's catalogue of measured CARLA bodies. Masses are estimates from
the box's volume. Props are those that the leaderboard's scenarios and CARLA's examples name.
"""

from __future__ import annotations

from dataclasses import dataclass

from sim_adapters.carla.headless.actor_arrays import Kind
from sim_adapters.carla.headless.versions import WireVersion
from sim_adapters.scene.state import ActorKind
from sim_adapters.world import vehicle_catalogue as catalogue

BOOL, INT, FLOAT, STRING, COLOR = range(5)
_CAR_KG_PER_M3 = 135.0  # gives a mid-size car its 1.8 t
_WALKER_KG = 75.0
_CHILDREN = frozenset({9, 10, 11, 48, 49})
_SHORT = frozenset({12, 13, 14})
_NUM_WALKERS = 52
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
# CARLA's vehicle catalogue: those whose lamps can be switched
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
_PEDESTRIAN_TAG, _DYNAMIC_TAG = 12, 21
_COLORS = ("255,255,255", "0,0,0", "134,134,134", "137,0,0", "38,63,110", "193,193,193")

# Props without measured size: about (half length, half width, half height)
_OTHER_PROPS = {
    "barrel": (0.3, 0.3, 0.45),
    "bench01": (0.75, 0.3, 0.4),
    "bike parking": (0.9, 0.3, 0.4),
    "box01": (0.3, 0.3, 0.25),
    "briefcase": (0.25, 0.1, 0.2),
    "chainbarrier": (0.65, 0.05, 0.35),
    "chainbarrierend": (0.1, 0.05, 0.35),
    "creasedbox01": (0.35, 0.3, 0.05),
    "dirtdebris02": (0.93, 0.755, 0.075),
    "dirtdebris03": (0.93, 0.755, 0.075),
    "foodcart": (1.3, 0.8, 1.2),
    "gardenlamp": (0.1, 0.1, 0.3),
    "ironplank": (0.8, 0.4, 0.03),
    "kiosk_01": (1.3, 1.1, 1.5),
    "mailbox": (0.25, 0.25, 0.6),
    "plasticbag": (0.2, 0.2, 0.2),
    "streetsign": (0.3, 0.05, 1.2),
    "streetsign01": (0.3, 0.05, 1.2),
    "streetsign04": (0.3, 0.05, 1.2),
    "swingcouch": (1.0, 0.6, 0.9),
    "trafficcone02": (0.17, 0.17, 0.3),
    "trafficwarning": (1.185, 1.435, 1.785),
    "trampoline": (1.5, 1.5, 0.5),
    "trashcan01": (0.3, 0.3, 0.5),
    "travelcase": (0.3, 0.15, 0.35),
    "warningaccident": (0.4, 0.3, 0.45),
    "wateringcan": (0.15, 0.1, 0.15),
    "mesh": (1.0, 1.0, 0.5),
}
_FLAT_PROPS = ("dirtdebris", "ironplank")  # wheels roll over them

_GNSS_AXES, _BOTH = ("lat", "lon", "alt"), ("stddev", "bias")

Attribute = tuple[str, int, str, tuple[str, ...], bool]  # id, type, value, recommended, modifiable


@dataclass(frozen=True)
class Blueprint:
    """One kind of actor that clients can spawn.

    Args:
        type_id: Its name, e.g. "vehicle.lincoln.mkz_2020".
        kind: Which columns of the actor arrays it uses.
        attributes: Names, types and defaults.
        half_extents_m: Of the bounding box; None without a body.
        box_center_m: In the actor's frame.
        mass_kg: Zero where nothing moves it.
        tag: Semantic tag.
        is_solid: Whether it collides.
    """

    type_id: str
    kind: Kind
    attributes: tuple[Attribute, ...]
    half_extents_m: tuple[float, float, float] | None = None
    box_center_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    mass_kg: float = 0.0
    tag: int = 0
    is_solid: bool = False


def build_library() -> dict[str, Blueprint]:
    """Every blueprint by name."""
    blueprints = [*_vehicles(), *_walkers(), *_props(), *_sensors(), *_others()]
    return {blueprint.type_id: blueprint for blueprint in blueprints}


def definitions(library: dict[str, Blueprint], version: WireVersion) -> list[list[object]]:
    """The library as `get_actor_definitions` answers it."""
    return [
        [
            uid,
            blueprint.type_id,
            ",".join(blueprint.type_id.split(".")),
            [
                [name, code + version.first_attribute_type, value, list(values), modifiable, False]
                for name, code, value, values, modifiable in blueprint.attributes
            ],
        ]
        for uid, blueprint in enumerate(library.values(), start=1)
    ]


def _vehicles() -> list[Blueprint]:
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


def _walkers() -> list[Blueprint]:
    blueprints: list[Blueprint] = []
    for number in range(1, _NUM_WALKERS + 1):
        size = 1 if number in _CHILDREN else 2 if number in _SHORT else 0
        half = (
            float(catalogue.WALKER_HALF_LENGTH_M[size]),
            float(catalogue.WALKER_HALF_WIDTH_M[size]),
            float(catalogue.WALKER_HALF_HEIGHT_M[size]),
        )
        attributes: tuple[Attribute, ...] = (
            ("gender", STRING, "female" if number % 2 else "male", (), False),
            ("age", STRING, "child" if size else "adult", (), False),
            ("generation", INT, "2" if number > 14 else "1", (), False),
            ("speed", FLOAT, "0.000000", ("0.0", "1.4", "2.9"), True),
            ("is_invincible", BOOL, "true", (), True),
            ("can_use_wheelchair", BOOL, "false", (), False),
            ("role_name", STRING, "pedestrian", ("pedestrian",), True),
        )
        blueprints.append(
            Blueprint(
                f"walker.pedestrian.{number:04d}",
                Kind.WALKER,
                attributes,
                half,
                mass_kg=_WALKER_KG,
                tag=_PEDESTRIAN_TAG,
                is_solid=True,
            )
        )
    return blueprints


def _props() -> list[Blueprint]:
    sizes = {
        name: (float(length), float(width), float(height))
        for name, length, width, height in zip(
            catalogue.PROP_NAMES,
            catalogue.PROP_HALF_LENGTH_M,
            catalogue.PROP_HALF_WIDTH_M,
            catalogue.PROP_HALF_HEIGHT_M,
            strict=True,
        )
    }
    attributes: tuple[Attribute, ...] = (
        ("role_name", STRING, "prop", ("prop",), True),
        ("size", STRING, "medium", (), False),
        ("mesh_path", STRING, "", (), True),
        ("scale", FLOAT, "1.0", (), True),
        ("mass", FLOAT, "0.0", (), True),
    )
    return [
        Blueprint(
            f"static.prop.{name}",
            Kind.PROP,
            attributes,
            half,
            (0.0, 0.0, half[2]),
            tag=_DYNAMIC_TAG,
            is_solid=not name.startswith(_FLAT_PROPS),
        )
        for name, half in sorted({**_OTHER_PROPS, **sizes}.items())
    ]


def _sensors() -> list[Blueprint]:
    """Sensors that work, and the cameras and lidars that refuse when they are spawned."""
    role: Attribute = ("role_name", STRING, "front", ("front", "back", "left", "right"), True)
    tick: Attribute = ("sensor_tick", FLOAT, "0.0", (), True)
    extra: dict[str, tuple[Attribute, ...]] = {
        "other.collision": (),
        "other.lane_invasion": (),
        "other.obstacle": (
            ("distance", FLOAT, "5.0", (), True),
            ("hit_radius", FLOAT, "0.5", (), True),
            ("only_dynamics", BOOL, "false", (), True),
            ("debug_linetrace", BOOL, "false", (), True),
            tick,
        ),
        "other.gnss": (*_noise(*(f"{axis}_{what}" for axis in _GNSS_AXES for what in _BOTH)), tick),
        "other.imu": (
            *_noise(
                *(f"accel_stddev_{axis}" for axis in "xyz"),
                *(f"gyro_{what}_{axis}" for what in _BOTH for axis in "xyz"),
            ),
            tick,
        ),
    }
    for name in REFUSED_SENSORS:
        extra[name] = (*_camera_attributes(name), tick)
    return [
        Blueprint(f"sensor.{name}", Kind.SENSOR, (role, *attributes))
        for name, attributes in extra.items()
    ]


REFUSED_SENSORS = (
    "camera.rgb",
    "camera.depth",
    "camera.semantic_segmentation",
    "camera.instance_segmentation",
    "camera.optical_flow",
    "camera.normals",
    "camera.dvs",
    "lidar.ray_cast",
    "lidar.ray_cast_semantic",
    "other.radar",
    "other.rss",
)


def _camera_attributes(name: str) -> tuple[Attribute, ...]:
    """The attributes that programs set before they spawn, so that the refusal comes at spawn."""
    if name.startswith("camera"):
        return (
            ("image_size_x", INT, "800", (), True),
            ("image_size_y", INT, "600", (), True),
            ("fov", FLOAT, "90.0", (), True),
        )
    if name.startswith("lidar"):
        names = ("channels", "range", "points_per_second", "rotation_frequency")
        values = ("32", "10.0", "56000", "10.0")
        fields = zip(names, values, strict=True)
        return tuple((field, FLOAT, value, (), True) for field, value in fields)
    return ()


def _noise(*names: str) -> tuple[Attribute, ...]:
    floats = tuple((f"noise_{name}", FLOAT, "0.0", (), True) for name in names)
    return (*floats, ("noise_seed", INT, "0", (), True))


def _others() -> list[Blueprint]:
    return [
        Blueprint(
            "controller.ai.walker",
            Kind.OTHER,
            (("role_name", STRING, "pedestrian_ai", (), True),),
        ),
        Blueprint("static.trigger.friction", Kind.OTHER, _friction_attributes()),
    ]


def _friction_attributes() -> tuple[Attribute, ...]:
    names = ("friction", "extent_x", "extent_y", "extent_z")
    values = ("3.5", "1.0", "1.0", "1.0")
    return tuple((name, FLOAT, value, (), True) for name, value in zip(names, values, strict=True))
