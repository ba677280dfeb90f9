"""Merging manifests with what they inherit and with an environment's overrides.

Maps merge deep. Lists of maps that all have a ``name`` merge by it: the override of one item keeps its other fields, a new name is
added at the end. Every other value, lists included, is replaced. Two markers remove:

* ``$remove: true`` in an item of a named list removes the item of that name;
* ``$remove: [a, b]`` in a map removes the fields ``a`` and ``b`` that it would inherit.

Removing what is not there is an error. Every value has the place of the last file that gives it: a merged map has one, its fields
each have their own.
"""

from __future__ import annotations

from dataclasses import replace

from dag_factory.manifest.node import Node
from dag_factory.manifest.problems import Problems, hint_for, listed

#: The field that marks a removal.
REMOVE = "$remove"


def merge(base: Node, override: Node, problems: Problems) -> Node:
    """Return ``base`` with ``override`` over it.

    :param problems: gets DCP120 for a removal of what is not there, DCP122 for an item without a name among named ones, and DCP140
        for a name that a list gives twice.
    """
    if base.is_map and override.is_map:
        return _merge_maps(base, override, problems)
    if _is_named_list(base) and override.items:
        return _merge_lists(base, override, problems)
    return settled(override, problems)


def _merge_maps(base: Node, override: Node, problems: Problems) -> Node:
    fields = dict(base.fields)
    marker = override.fields.get(REMOVE)
    for each in marker.items if marker else ():
        if each.text not in fields:
            problems.add(
                "DCP120", f"`{each.text}` cannot be removed: it is not inherited here", each.position, _known(each.text, fields)
            )
        fields.pop(each.text, None)
    for name, value in override.fields.items():
        if name != REMOVE:
            fields[name] = merge(fields[name], value, problems) if name in fields else settled(value, problems)
    return replace(override, value=fields)


def _merge_lists(base: Node, override: Node, problems: Problems) -> Node:
    found = {item.fields["name"].text: item for item in base.items}
    seen: set[str] = set()
    for item in override.items:
        name = item.get("name")
        if name is None or not name.text:
            hint = f"name the one that it overrides: {listed(list(found))}; a new name adds one"
            problems.add("DCP122", "this item overrides a list of named items and has no name", item.position, hint)
            continue
        if name.text in seen:
            problems.add("DCP140", f"`{name.text}` is given twice in this list", name.position, "write its fields in one item")
        seen.add(name.text)
        if _removes(item):
            if name.text not in found:
                text = f"`{name.text}` cannot be removed: there is no such item"
                problems.add("DCP120", text, name.position, _known(name.text, found))
            found.pop(name.text, None)
        else:
            found[name.text] = merge(found[name.text], item, problems) if name.text in found else settled(item, problems)
    return replace(override, value=tuple(found.values()))


def settled(node: Node, problems: Problems) -> Node:
    """Return ``node`` without markers: where nothing is inherited they remove in vain, which is recorded as DCP120."""
    marked = any(type(each.value) is dict and REMOVE in each.value for each in node.everything())
    return _settled(node, problems) if marked else node


def _settled(node: Node, problems: Problems) -> Node:
    if node.is_map and REMOVE in node.fields:
        marker = node.fields[REMOVE]
        text = "nothing is inherited here that could be removed"
        problems.add("DCP120", text, marker.key_position, "remove the marker, or check the name of what it should remove")
        node = replace(node, value={name: value for name, value in node.fields.items() if name != REMOVE})
    if node.is_map:
        fields = {name: _settled(value, problems) for name, value in node.fields.items()}
        return node if all(fields[name] is value for name, value in node.fields.items()) else replace(node, value=fields)
    if node.is_list:
        items = tuple(_settled(item, problems) for item in node.items)
        return node if all(new is old for new, old in zip(items, node.items, strict=True)) else replace(node, value=items)
    return node


def _removes(item: Node) -> bool:
    marker = item.get(REMOVE)
    return marker is not None and marker.value is True


def _is_named_list(node: Node) -> bool:
    names = [item.fields["name"].text for item in node.items if "name" in item.fields]
    # A list that gives a name twice is an error already; merging it by name would hide that.
    return bool(names) and all(names) and len(set(names)) == len(names) == len(node.items)


def _known(word: str, names: object) -> str:
    return hint_for(word, list(names) if isinstance(names, dict) else [], "there are")
