"""The bodies of CARLA 0.9.16: kind and half extents of every vehicle, walker and prop we place.

Half extents are along (x), across (y) and up (z), in metres, of the server's bounding boxes.
The arrays are module-level constants, so kernels read them as frozen globals.
Source: blueprint sizes measured on a CARLA 0.9.16 server (Scenic's snapshot, BSD-3), halved;
base types from CARLA's vehicle catalogue. Buses count as trucks.
"""

from __future__ import annotations

import numpy as np

from sim_adapters.scene.state import ActorKind

_CAR, _VAN, _TRUCK = int(ActorKind.CAR), int(ActorKind.VAN), int(ActorKind.TRUCK)
_MOTORCYCLE, _BICYCLE = int(ActorKind.MOTORCYCLE), int(ActorKind.BICYCLE)

# (blueprint, kind, half length, half width, half height), sorted by kind
_VEHICLES = (
    ("audi.a2", _CAR, 1.853, 0.894, 0.775),
    ("audi.etron", _CAR, 2.428, 1.016, 0.825),
    ("audi.tt", _CAR, 2.091, 0.997, 0.693),
    ("bmw.grandtourer", _CAR, 2.306, 1.121, 0.834),
    ("chevrolet.impala", _CAR, 2.679, 1.017, 0.705),
    ("citroen.c3", _CAR, 1.994, 0.925, 0.809),
    ("dodge.charger_2020", _CAR, 2.504, 0.941, 0.767),
    ("dodge.charger_police", _CAR, 2.487, 1.019, 0.771),
    ("dodge.charger_police_2020", _CAR, 2.619, 0.965, 0.819),
    ("ford.crown", _CAR, 2.683, 0.900, 0.787),
    ("ford.mustang", _CAR, 2.359, 0.947, 0.650),
    ("jeep.wrangler_rubicon", _CAR, 1.933, 0.953, 0.939),
    ("lincoln.mkz_2017", _CAR, 2.451, 1.064, 0.755),
    ("lincoln.mkz_2020", _CAR, 2.446, 0.918, 0.745),
    ("mercedes.coupe", _CAR, 2.513, 1.076, 0.825),
    ("mercedes.coupe_2020", _CAR, 2.337, 0.906, 0.721),
    ("micro.microlino", _CAR, 1.104, 0.740, 0.688),
    ("mini.cooper_s", _CAR, 1.903, 0.985, 0.738),
    ("mini.cooper_s_2021", _CAR, 2.276, 1.049, 0.884),
    ("nissan.micra", _CAR, 1.817, 0.923, 0.751),
    ("nissan.patrol", _CAR, 2.302, 0.966, 0.927),
    ("nissan.patrol_2021", _CAR, 2.783, 1.075, 1.023),
    ("seat.leon", _CAR, 2.096, 0.908, 0.737),
    ("tesla.model3", _CAR, 2.396, 1.082, 0.744),
    ("toyota.prius", _CAR, 2.257, 1.003, 0.762),
    ("ford.ambulance", _VAN, 3.183, 1.176, 1.216),
    ("mercedes.sprinter", _VAN, 2.958, 0.994, 1.280),
    ("volkswagen.t2", _VAN, 2.240, 1.035, 1.019),
    ("volkswagen.t2_2021", _VAN, 2.221, 0.887, 0.994),
    ("carlamotors.carlacola", _TRUCK, 2.602, 1.313, 1.234),
    ("carlamotors.european_hgv", _TRUCK, 3.968, 1.446, 1.731),
    ("carlamotors.firetruck", _TRUCK, 4.234, 1.446, 1.914),
    ("tesla.cybertruck", _TRUCK, 3.137, 1.195, 1.049),
    ("mitsubishi.fusorosa", _TRUCK, 5.136, 1.972, 2.126),
    ("harley-davidson.low_rider", _MOTORCYCLE, 1.175, 0.383, 0.825),
    ("kawasaki.ninja", _MOTORCYCLE, 1.022, 0.398, 0.762),
    ("vespa.zx125", _MOTORCYCLE, 0.909, 0.433, 0.795),
    ("yamaha.yzf", _MOTORCYCLE, 1.095, 0.433, 0.765),
    ("bh.crossbike", _BICYCLE, 0.755, 0.433, 0.806),
    ("diamondback.century", _BICYCLE, 0.828, 0.291, 0.810),
    ("gazelle.omafiets", _BICYCLE, 0.922, 0.330, 0.888),
)

VEHICLE_NAMES = tuple(row[0] for row in _VEHICLES)
VEHICLE_KIND = np.array([row[1] for row in _VEHICLES], np.uint8)
VEHICLE_HALF_LENGTH_M = np.array([row[2] for row in _VEHICLES])
VEHICLE_HALF_WIDTH_M = np.array([row[3] for row in _VEHICLES])
VEHICLE_HALF_HEIGHT_M = np.array([row[4] for row in _VEHICLES])

# Rows of kind k are FIRST_VEHICLE_OF_KIND[k]:FIRST_VEHICLE_OF_KIND[k + 1], k an ActorKind
FIRST_VEHICLE_OF_KIND = np.searchsorted(
    VEHICLE_KIND, np.arange(ActorKind.NONE, ActorKind.PEDESTRIAN + 1)
).astype(np.int32)

EGO_VEHICLE = VEHICLE_NAMES.index("lincoln.mkz_2020")  # the leaderboard's ego
EGO_HALF_LENGTH_M, EGO_HALF_WIDTH_M, EGO_HALF_HEIGHT_M = 2.44619, 0.91836, 0.74514

# Walkers: adults, children, short adults. CARLA has 44, 5 and 3 of them.
WALKER_HALF_LENGTH_M = np.array([0.188, 0.250, 0.188])
WALKER_HALF_WIDTH_M = np.array([0.188, 0.250, 0.188])
WALKER_HALF_HEIGHT_M = np.array([0.93, 0.55, 0.65])
WALKER_SHARE = np.array([44.0, 5.0, 3.0]) / 52.0

# Props, (name, half length, half width, half height)
_PROPS = (
    ("constructioncone", 0.17, 0.17, 0.295),
    ("trafficcone01", 0.44, 0.44, 0.565),
    ("warningconstruction", 0.655, 0.53, 0.93),
    ("streetbarrier", 0.605, 0.185, 0.535),
    ("vendingmachine", 0.435, 0.55, 1.055),
    ("container", 0.965, 0.505, 0.855),
    ("bin", 0.275, 0.32, 0.53),
    ("haybale", 0.625, 0.595, 0.595),
    ("busstop", 1.94, 0.945, 1.37),
    ("advertisement", 0.775, 0.145, 1.22),
    ("dirtdebris01", 0.93, 0.755, 0.075),
)
PROP_NAMES = tuple(row[0] for row in _PROPS)
PROP_HALF_LENGTH_M = np.array([row[1] for row in _PROPS])
PROP_HALF_WIDTH_M = np.array([row[2] for row in _PROPS])
PROP_HALF_HEIGHT_M = np.array([row[3] for row in _PROPS])
DIRT_DEBRIS = PROP_NAMES.index("dirtdebris01")
