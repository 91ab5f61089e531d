"""A channel of the bird's-eye view that names what does not exist is refused with what does."""

import pytest

from sim_adapters.observation.channels import Actors, MapLayer


def test_unknown_layer_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"layers=\[ROADS\], expected one of DRIVING, "):
        MapLayer(layers=["DRIVING", "ROADS"])


def test_unknown_kind_of_actor_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"kinds=\[LORRY\], expected one of .*TRUCK"):
        Actors(kinds=["LORRY"], value=255)
