"""How long a regular expression may search a path, known before it is tried. Pure.

Whoever may write to a folder may put an ``.airflowignore`` into it, and an expression that can match in many ways takes time for
each of them. So the ways are counted first.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

_parser: Any = re._parser  # type: ignore[attr-defined]
_REPEATS = frozenset({_parser.MAX_REPEAT, _parser.MIN_REPEAT, _parser.POSSESSIVE_REPEAT})
#: What only looks whether it is there, and is a single character or place.
_SINGLE = frozenset({_parser.LITERAL, _parser.NOT_LITERAL, _parser.IN, _parser.ANY, _parser.AT, _parser.GROUPREF})

#: Where the parts are of what holds others.
_INSIDE = {
    _parser.SUBPATTERN: lambda argument: argument[-1],
    _parser.ASSERT: lambda argument: argument[1],
    _parser.ASSERT_NOT: lambda argument: argument[1],
    _parser.ATOMIC_GROUP: lambda argument: argument,
}

#: More is not told apart.
_ENDLESS = 10**12


def search_cost(pattern: str, path: str) -> int:
    """Return about how many steps a search for ``pattern`` in ``path`` takes at most.

    :raises re.error: when it is no regular expression.
    """
    return min(_ways(_parsed(pattern), path) * (len(path) + 1), _ENDLESS)


@functools.lru_cache(maxsize=4096)
def _parsed(pattern: str) -> Any:
    return _parser.parse(pattern)


def _ways(parts: Sequence[Any], path: str) -> int:
    """Return in how many ways a sequence can match parts of ``path`` that begin at the same place."""
    ways = 1
    for place, (operator, argument) in enumerate(parts):
        if operator not in _SINGLE:
            ways = min(ways * _ways_of(operator, argument, parts[place + 1] if place + 1 < len(parts) else None, path), _ENDLESS)
    return ways


def _ways_of(operator: Any, argument: Any, follower: Any, path: str) -> int:
    if operator in _REPEATS:
        return _ways_of_repeat(argument, follower, path)
    if operator is _parser.BRANCH:
        return min(sum(_ways(branch, path) for branch in argument[1]), _ENDLESS)
    inside = _INSIDE.get(operator)
    return _ENDLESS if inside is None else _ways(inside(argument), path)


def _ways_of_repeat(argument: Any, follower: Any, path: str) -> int:
    low, high, item = argument
    inside, most = _ways(item, path), min(int(high), len(path) + 1)
    if high <= 1:
        return inside + 1
    if len(item) == 1 and item[0][0] in _SINGLE:
        # It ends where what follows may begin.
        ends = path.count(chr(follower[1])) if follower and follower[0] is _parser.LITERAL else most - int(low)
        return max(1, min(ends, most - int(low)) + 1)
    # A group that can match in several ways does so each time anew.
    return _ENDLESS if inside > 1 else most
