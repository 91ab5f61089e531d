"""A function of groups, called with the fields of its groups."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field

import pytest

from sim_adapters.flat_keys import flat_keys


@dataclass(frozen=True)
class Size:
    length_m: float
    width_m: float = 2.0


@dataclass(frozen=True)
class Looks:
    colours: list[str] = field(default_factory=list)


@flat_keys(size=Size, looks=Looks)
def make_car(name: str, *, size: Size, looks: Looks, wheels: int = 4) -> tuple:
    """A car."""
    return name, size, looks, wheels


def test_fields_go_into_their_group_and_the_rest_to_the_function() -> None:
    made = make_car("van", wheels=6, width_m=2.5, colours=["red"], length_m=5.0)
    assert made == ("van", Size(5.0, 2.5), Looks(["red"]), 6)


def test_what_is_left_out_has_its_groups_default() -> None:
    assert make_car("van", length_m=5.0) == ("van", Size(5.0, 2.0), Looks([]), 4)


@pytest.mark.parametrize(("keywords", "named"), [({"length": 5.0}, "length"), ({}, "length_m")])
def test_an_unknown_or_a_missing_word_is_named(keywords: dict, named: str) -> None:
    with pytest.raises(TypeError, match=named):
        make_car("van", **keywords)


def test_the_signature_names_every_field_and_no_group() -> None:
    parameters = inspect.signature(make_car).parameters
    assert list(parameters) == ["name", "wheels", "length_m", "width_m", "colours"]
    has_default = [p.name for p in parameters.values() if p.default is not p.empty]
    assert has_default == ["wheels", "width_m", "colours"]
    assert make_car.__doc__ == "A car."
