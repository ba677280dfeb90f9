"""The layers of a manifest: the ``defaults.yaml`` files above it, farthest first, and the manifest itself.

Each layer has a base and overrides by environment. The base of a manifest is all bases merged in order; for an environment every
layer's override follows, again in order, so that a nearer file always wins over a farther one and an override over a base.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from airflow_dcp_provider.model.environment import canonical_environment
from airflow_dcp_provider.model.errors import DcpError
from dag_factory.manifest.merge import REMOVE, merge, settled
from dag_factory.manifest.node import Node
from dag_factory.manifest.problems import Problems, did_you_mean

#: The field that holds overrides by environment, at the top or in ``spec``.
ENVIRONMENTS = "environments"
#: The key of overrides for every ``playground_<user>``.
PLAYGROUND = "playground"

#: What begins so at the top of a manifest or of a section of defaults is for its author: a place for anchors.
_OWN = "x-"
#: Most overrides of one file: each is checked like a manifest of its own.
_MOST_ENVIRONMENTS = 50

_KNOWN = ("local", "test", "staging", "prod", "production", PLAYGROUND)


@dataclass(frozen=True)
class Layer:
    """One file's part of a manifest.

    :param whole: the part as it stands.
    :param base: the part without its overrides.
    :param holder: the path of the map that the overrides are laid over: empty for the top, or ``spec``.
    :param overrides: the override of each environment, by its one name.
    """

    whole: Node
    base: Node
    holder: tuple[str, ...]
    overrides: dict[str, Node]


def layer(node: Node, problems: Problems) -> Layer:
    """Return a file's part, taken apart; its ``x-`` fields at the top are left out.

    :param problems: gets DCP121 for an environment that cannot exist and DCP105 for one that is named twice.
    """
    node = _without_own(node)
    holder = ("spec",) if node.get("spec", ENVIRONMENTS) is not None else ()
    found = node.get(*holder, ENVIRONMENTS)
    if found is None:
        return Layer(node, node, holder, {})
    overrides: dict[str, Node] = {}
    # The schema says when there are more.
    for key, value in itertools.islice(found.fields.items(), _MOST_ENVIRONMENTS):
        name = _environment(key, value, problems)
        if name in overrides:
            hint = f"`{name}` and its other name are one environment; put everything under one of them"
            problems.add("DCP105", f"the environment `{name}` is given twice", value.key_position, hint)
        if name and value.is_map:
            overrides[name] = value
    return Layer(node, _without(node, (*holder, ENVIRONMENTS)), holder, overrides)


def _without_own(node: Node) -> Node:
    if not any(name.startswith(_OWN) for name in node.fields):
        return node
    return replace(node, value={name: value for name, value in node.fields.items() if not name.startswith(_OWN)})


def _environment(key: str, value: Node, problems: Problems) -> str:
    if key == PLAYGROUND:
        return key
    try:
        return canonical_environment(key)
    except DcpError as error:
        problems.add("DCP121", error.message, value.key_position, did_you_mean(key, _KNOWN) or error.hint)
        return ""


def _without(node: Node, path: Sequence[str]) -> Node:
    name, rest = path[0], path[1:]
    if rest:
        return replace(node, value={**node.fields, name: _without(node.fields[name], rest)})
    return replace(node, value={key: value for key, value in node.fields.items() if key != name})


def merged_base(layers: Sequence[Layer], problems: Problems) -> Node:
    """Return all bases merged, the last over the others."""
    base = settled(layers[0].base, problems)
    for each in layers[1:]:
        base = merge(base, each.base, problems)
    return base


def named_environments(layers: Iterable[Layer]) -> tuple[str, ...]:
    """Return the environments that some layer has an override for, each once."""
    return tuple(dict.fromkeys(name for each in layers for name in each.overrides))


def for_environment(base: Node, layers: Iterable[Layer], environment: str, problems: Problems) -> Node:
    """Return ``base`` with every layer's override for ``environment`` over it; ``base`` itself when there is none."""
    keys = (PLAYGROUND, environment) if environment.startswith(f"{PLAYGROUND}_") else (environment,)
    found = base
    for each in layers:
        for key in keys:
            if override := each.overrides.get(key):
                found = _merge_at(found, each.holder, override, problems)
    return found


def may_lack_something(layers: Iterable[Layer], environment: str) -> bool:
    """Whether overrides for ``environment`` can leave a manifest incomplete: they remove something, or add to lists of maps."""
    keys = (PLAYGROUND, environment)
    overrides = [each.overrides[key] for each in layers for key in keys if key in each.overrides]
    return any(_removes_or_lists(override) for override in overrides)


def _removes_or_lists(node: Node) -> bool:
    if REMOVE in node.fields or any(item.is_map for item in node.items):
        return True
    return any(_removes_or_lists(value) for value in node.fields.values())


def _merge_at(node: Node, path: Sequence[str], override: Node, problems: Problems) -> Node:
    if not path:
        return merge(node, override, problems)
    below = node.fields.get(path[0], replace(override, value={}))
    return replace(node, value={**node.fields, path[0]: _merge_at(below, path[1:], override, problems)})
