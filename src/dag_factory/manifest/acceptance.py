"""Whether a value satisfies a JSON Schema, answered quickly where the answer is yes.

Nearly every manifest satisfies its schema, and the library that says what is wrong with the others takes far longer than all the
rest of reading one. Here a schema is turned once into plain functions. They know the keywords below, mean by them what the library
does, and give no answer about anything else; the library then has the last word, as it has about everything that is not accepted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sized
from typing import Any

from jsonschema import FormatChecker

#: Says whether a value satisfies a schema, or a part of one.
Accepts = Callable[[Any], bool]

#: Keywords that say nothing of whether a value is good.
_ANNOTATIONS = frozenset({"$schema", "$id", "$defs", "$comment", "title", "description", "default", "examples"})
#: Keywords that are read together with another one.
_COMPANIONS = frozenset({"then", "else", "patternProperties", "additionalProperties"})

_SCALARS = (str, int, float, bool, type(None))
_TYPES: Mapping[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "null": (type(None),),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}


class _UnsureError(Exception):
    """Only the library can tell."""


def acceptance(schema: Mapping[str, Any], formats: FormatChecker | None, most_compared: int) -> Accepts:
    """Return a function that is true only of values that satisfy ``schema``; of others, and where it cannot tell, it is false.

    :param schema: a JSON Schema of draft 2020-12.
    :param formats: the formats that count, None for none.
    :param most_compared: longer lists may name things twice, whatever ``uniqueItems`` says.
    """
    try:
        accepts = _Reader(schema, formats, most_compared).read(schema, at_top=True)
    except (_UnsureError, KeyError, TypeError, ValueError, re.error):
        return lambda _: False

    def sure(value: Any) -> bool:
        try:
            return accepts(value)
        except (_UnsureError, RecursionError):
            return False

    return sure


class _Reader:
    """Turns the parts of one schema into functions.

    :raises _UnsureError: for what is not known here.
    """

    def __init__(self, schema: Mapping[str, Any], formats: FormatChecker | None, most_compared: int) -> None:
        self._definitions: Mapping[str, Any] = schema.get("$defs", {})
        self._formats = {} if formats is None else formats.checkers
        self._most_compared = most_compared
        self._named: dict[str, Accepts] = {}
        self._done: dict[int, Accepts] = {}

    def read(self, schema: Any, *, at_top: bool = False) -> Accepts:
        """Return what accepts the values of a part of the schema."""
        if isinstance(schema, bool):
            return lambda _: schema
        # What was inlined is one object in many places.
        if (done := self._done.get(id(schema))) is not None:
            return done
        if not at_top and "$id" in schema:
            raise _UnsureError
        rules = [self._rule(key, value, schema) for key, value in schema.items() if not _says_nothing(key)]
        if {"patternProperties", "additionalProperties", "properties"} & schema.keys():
            rules.append(self._fields(schema))
        accepts = rules[0] if len(rules) == 1 else _all(rules)
        self._done[id(schema)] = accepts
        return accepts

    def _rule(self, key: str, value: Any, schema: Mapping[str, Any]) -> Accepts:
        if key in _SIMPLE:
            return _SIMPLE[key](value)
        combined: dict[str, Callable[[], Accepts]] = {
            "$ref": lambda: self._reference(value),
            "format": lambda: self._format(value),
            "items": lambda: _of_lists(_every(self.read(value))),
            "uniqueItems": lambda: _of_lists(self._unique) if value else _anything,
            "not": lambda: _none(self.read(value)),
            "allOf": lambda: _all([self.read(each) for each in value]),
            "anyOf": lambda: _any([self.read(each) for each in value]),
            "if": lambda: _if(self.read(value), self.read(schema.get("then", True)), self.read(schema.get("else", True))),
        }
        if key not in combined:
            raise _UnsureError
        return combined[key]()

    def _reference(self, target: str) -> Accepts:
        name = target.removeprefix("#/$defs/")
        if name == target or not re.fullmatch(r"\w+", name):
            raise _UnsureError
        if name not in self._named:
            # A definition may name itself: what it becomes is known only afterwards.
            def later(item: Any) -> bool:
                return self._named[name](item)

            self._named[name] = later
            self._named[name] = self.read(self._definitions[name])
        return self._named[name]

    def _format(self, name: str) -> Accepts:
        if name not in self._formats:
            return _anything
        check, errors = self._formats[name]
        if errors:
            raise _UnsureError
        return lambda item: bool(check(item))

    def _unique(self, items: list[Any]) -> bool:
        if len(items) < 2 or len(items) > self._most_compared:
            return True
        if not all(type(item) is str for item in items):
            raise _UnsureError
        return len(set(items)) == len(items)

    def _fields(self, schema: Mapping[str, Any]) -> Accepts:
        known = {name: self.read(each) for name, each in schema.get("properties", {}).items()}
        patterns = [(re.compile(pattern), self.read(each)) for pattern, each in schema.get("patternProperties", {}).items()]
        others = self.read(schema.get("additionalProperties", True))

        def accepts(item: Any) -> bool:
            if type(item) is not dict:
                return True
            for name, value in item.items():
                rule = known.get(name)
                if patterns:
                    matching = [each for pattern, each in patterns if pattern.search(name)]
                    if not all(each(value) for each in matching):
                        return False
                    rule = rule or (_anything if matching else others)
                if not (rule or others)(value):
                    return False
            return True

        return accepts


def _says_nothing(key: str) -> bool:
    return key in _ANNOTATIONS or key in _COMPANIONS or key == "properties" or key.startswith("x-")


def _anything(_: Any) -> bool:
    return True


def _all(rules: list[Accepts]) -> Accepts:
    def accepts(item: Any) -> bool:
        for rule in rules:  # noqa: SIM110 - a loop costs less than a generator
            if not rule(item):
                return False
        return True

    return accepts


def _any(rules: list[Accepts]) -> Accepts:
    return lambda item: any(rule(item) for rule in rules)


def _none(rule: Accepts) -> Accepts:
    return lambda item: not rule(item)


def _if(condition: Accepts, then: Accepts, other: Accepts) -> Accepts:
    return lambda item: then(item) if condition(item) else other(item)


def _every(rule: Accepts) -> Accepts:
    return lambda items: all(rule(item) for item in items)


def _of_lists(rule: Accepts) -> Accepts:
    return lambda item: type(item) is not list or rule(item)


def _of_type(names: str | list[str]) -> Accepts:
    # A bool is no int here, because types are compared as they are.
    types = frozenset(each for name in ([names] if isinstance(names, str) else names) for each in _TYPES[name])
    if len(types) == 1:
        (only,) = types
        return lambda item: type(item) is only
    return lambda item: type(item) in types


def _one_of(values: list[Any]) -> Accepts:
    if not all(type(value) in _SCALARS for value in values):
        raise _UnsureError
    known = [(type(value), value) for value in values]

    def accepts(item: Any) -> bool:
        kind = type(item)
        for each, value in known:
            if each is kind:
                if value == item:
                    return True
            elif kind not in {str, type(None)} and each not in {str, type(None)}:
                # Numbers of several kinds may be equal.
                raise _UnsureError
        return False

    return accepts


def _required(names: list[str]) -> Accepts:
    known = frozenset(names)
    return lambda item: type(item) is not dict or known <= item.keys()


def _size(kind: type[Sized], low: float, high: float) -> Accepts:
    return lambda item: type(item) is not kind or low <= len(item) <= high


def _number(is_good: Callable[[float], bool]) -> Accepts:
    return lambda item: type(item) not in {int, float} or is_good(item)


def _pattern(text: str) -> Accepts:
    search = re.compile(text).search
    return lambda item: type(item) is not str or search(item) is not None


_SIMPLE: Mapping[str, Callable[[Any], Accepts]] = {
    "type": _of_type,
    "enum": _one_of,
    "const": lambda value: _one_of([value]),
    "required": _required,
    "pattern": _pattern,
    "minLength": lambda least: _size(str, least, math.inf),
    "maxLength": lambda most: _size(str, 0, most),
    "minItems": lambda least: _size(list, least, math.inf),
    "maxItems": lambda most: _size(list, 0, most),
    "minProperties": lambda least: _size(dict, least, math.inf),
    "maxProperties": lambda most: _size(dict, 0, most),
    "minimum": lambda least: _number(lambda number: not number < least),
    "maximum": lambda most: _number(lambda number: not number > most),
    "exclusiveMinimum": lambda bound: _number(lambda number: not number <= bound),
    "exclusiveMaximum": lambda bound: _number(lambda number: not number >= bound),
}
