"""`flat_keys`: a function takes groups of settings, a configuration names their fields.

Code reads `maps.cache`, a YAML and the configurations of old checkpoints say `cache:` beside the
function's other keywords.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from functools import wraps
from typing import Any, TypeVar

Made = TypeVar("Made")
Maker = Callable[..., Made]


def flat_keys(**groups: type) -> Callable[[Maker[Made]], Maker[Made]]:
    """Let a function be called with the fields of its groups instead of with the groups.

    The signature that tools see names every field; a word that is neither the function's nor a
    field of a group is a TypeError, as ever.

    Args:
        groups: Name of a parameter, and the dataclass that it is made of.
    """

    def decorate(make: Maker[Made]) -> Maker[Made]:
        known = {name: {each.name for each in fields(group)} for name, group in groups.items()}

        @wraps(make)
        def flat(*args: Any, **keywords: Any) -> Made:
            made = {
                name: groups[name](**{key: keywords.pop(key) for key in keys & keywords.keys()})
                for name, keys in known.items()
            }
            return make(*args, **keywords, **made)

        # Where `inspect.signature` looks
        flat.__signature__ = _flat_signature(make, groups)  # type: ignore[attr-defined]
        return flat

    return decorate


def _flat_signature(make: Callable[..., Any], groups: dict[str, type]) -> inspect.Signature:
    signature = inspect.signature(make)
    own = [each for name, each in signature.parameters.items() if name not in groups]
    inner = [_parameter(each) for group in groups.values() for each in fields(group)]
    return signature.replace(parameters=[*own, *inner])


def _parameter(setting: Field[Any]) -> inspect.Parameter:
    is_needed = setting.default is MISSING and setting.default_factory is MISSING
    default = inspect.Parameter.empty if is_needed else setting.default
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(setting.name, kind, default=default, annotation=setting.type)
