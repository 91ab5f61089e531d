"""Sensors that refuse to be spawned, and why; their attributes can be set before that.

Programs set every attribute of a camera before they spawn it. Without the attribute CARLA's client
raises an IndexError there, and nobody learns that the server does not render.
Source of names and defaults: CARLA 0.9.16, ActorBlueprintFunctionLibrary and the DVS camera.
"""

from __future__ import annotations

from sim_adapters.carla.headless.blueprints.vehicles import BOOL, FLOAT, INT, STRING, Attribute

_RENDERING, _RADIO = "rendering", "a model of radio messages"
REFUSED_SENSORS = {
    "camera.rgb": _RENDERING,
    "camera.depth": _RENDERING,
    "camera.semantic_segmentation": _RENDERING,
    "camera.instance_segmentation": _RENDERING,
    "camera.optical_flow": _RENDERING,
    "camera.normals": _RENDERING,
    "camera.dvs": _RENDERING,
    "camera.cosmos_visualization": _RENDERING,
    "lidar.ray_cast": _RENDERING,
    "lidar.ray_cast_semantic": _RENDERING,
    "other.radar": _RENDERING,
    "other.rss": "the RSS library",
    "other.v2x": _RADIO,
    "other.v2x_custom": _RADIO,
}


def _defaults(text: str) -> dict[str, str]:
    """Attributes and their defaults, of words `name=default`."""
    return dict(word.split("=") for word in text.split())


_IMAGE = {"image_size_x": "800", "image_size_y": "600", "fov": "90.0"}
_LENS = _defaults(
    """
    lens_circle_falloff=5.0 lens_circle_multiplier=0.0 lens_k=-1.0 lens_kcube=0.0 lens_x_size=0.08
    lens_y_size=0.08
    """
)
_PHOTOGRAPHY = _defaults(
    """
    exposure_mode=histogram exposure_compensation=0.0 shutter_speed=200.0 iso=100.0 fstop=1.4
    enable_postprocess_effects=true gamma=2.2 motion_blur_intensity=0.45
    motion_blur_max_distortion=0.35 motion_blur_min_object_screen_size=0.1
    lens_flare_intensity=0.1 bloom_intensity=0.675 exposure_min_bright=10.0
    exposure_max_bright=12.0 exposure_speed_up=3.0 exposure_speed_down=1.0
    calibration_constant=16.0 focal_distance=1000.0 min_fstop=1.2 blade_count=5 blur_amount=1.0
    blur_radius=0.0 slope=0.88 toe=0.55 shoulder=0.26 black_clip=0.0 white_clip=0.04 temp=6500.0
    tint=0.0 chromatic_aberration_intensity=0.0 chromatic_aberration_offset=0.0
    """
)
_EVENTS = _defaults(
    """
    positive_threshold=0.3 negative_threshold=0.3 sigma_positive_threshold=0.0
    sigma_negative_threshold=0.0 refractory_period_ns=0 use_log=true log_eps=0.001
    """
)
_BEAMS = _defaults(
    """
    channels=32 range=10.0 points_per_second=56000 rotation_frequency=10.0 upper_fov=10.0
    lower_fov=-30.0 horizontal_fov=360.0
    """
)
_ECHOES = _defaults(
    """
    atmosphere_attenuation_rate=0.004 dropoff_general_rate=0.45 dropoff_intensity_limit=0.8
    dropoff_zero_intensity=0.4 noise_seed=0 noise_stddev=0.0
    """
)
_RADAR = _defaults(
    "horizontal_fov=30 vertical_fov=30 range=100 points_per_second=1500 noise_seed=0"
)
_CHANNEL = _defaults(
    """
    noise_seed=0 transmit_power=21.5 receiver_sensitivity=-99.0 frequency_ghz=5.9
    combined_antenna_gain=10.0 scenario=highway path_loss_model=winner path_loss_exponent=2.7
    d_ref=1.0 filter_distance=500.0 use_etsi_fading=true custom_fading_stddev=0.0
    """
)
_AWARENESS = {
    "gen_cam_min": "0.1",
    "gen_cam_max": "1.0",
    "fixed_rate": "false",
    **{
        f"noise_{axis}_{what}": "0.0"
        for axis in ("lat", "lon", "alt")
        for what in ("stddev", "bias")
    },
    **{f"noise_{what}_{how}": "0.0" for what in ("head", "yawrate") for how in ("stddev", "bias")},
    **{f"noise_accel_stddev_{axis}": "0.0" for axis in "xyz"},
    "noise_vel_stddev_x": "0.0",
}
_ATTRIBUTES = {
    "camera.rgb": _IMAGE | _LENS | _PHOTOGRAPHY,
    "camera.dvs": _IMAGE | _LENS | _PHOTOGRAPHY | _EVENTS,
    "lidar.ray_cast": _BEAMS | _ECHOES,
    "lidar.ray_cast_semantic": _BEAMS,
    "other.radar": _RADAR,
    "other.v2x": _CHANNEL | _AWARENESS,
    "other.v2x_custom": _CHANNEL,
    "other.rss": {},
}
_CHOICES = {
    "exposure_mode": ("histogram", "manual"),
    "scenario": ("highway", "rural", "urban"),
    "path_loss_model": ("winner", "geometric"),
}
_WHOLE_NUMBERS = frozenset(
    {
        "image_size_x",
        "image_size_y",
        "blade_count",
        "refractory_period_ns",
        "channels",
        "points_per_second",
        "noise_seed",
    }
)


def refused_attributes(name: str) -> tuple[Attribute, ...]:
    """What can be set on the sensor with this name (without "sensor.")."""
    defaults = _ATTRIBUTES.get(name, _IMAGE | _LENS)  # every other one is a camera
    return tuple(
        (key, _type_of(key, value), value, _CHOICES.get(key, ()), True)
        for key, value in defaults.items()
    )


def _type_of(key: str, value: str) -> int:
    if key in _CHOICES:
        return STRING
    if value in ("true", "false"):
        return BOOL
    return INT if key in _WHOLE_NUMBERS else FLOAT
