"""Values of dataclasses as JSON has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_SCALARS = frozenset({str, int, float, bool, type(None)})
_PLAIN: Mapping[type, Callable[[Any], Any]] = {str: str.__str__, int: int.__int__, float: float.__float__}


def json_ready(value: Any) -> Any:
    """Return a value as the maps, lists and texts that it is after a way through JSON; what JSON lacks stays as it is.

    Not :func:`dataclasses.asdict`, which copies every text: this runs for each environment of each manifest.
    """
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is dict:
        return {key: json_ready(item) for key, item in value.items()}
    if kind is tuple or kind is list:
        return [json_ready(item) for item in value]
    if (fields := getattr(kind, "__dataclass_fields__", None)) is not None:
        return {name: json_ready(getattr(value, name)) for name in fields}
    return _unusual(value)


def _unusual(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(item) for item in value]
    # A member of an enumeration, for example, is written as the text or number that it is.
    return next((plain(value) for kind, plain in _PLAIN.items() if isinstance(value, kind)), value)
