"""``docs/manifest-reference.md``, from the JSON Schemas: a section for every map of a manifest, a row for every field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dag_factory.docs.markdown import code, page, table
from dag_factory.docs.templates import templates_section
from dag_factory.manifest.schema_check import load_schema

_SCHEMAS = ("spark_job", "derived_dataset")

_INTRODUCTION = """\
# Manifest reference

The JSON Schemas in the package are the only source of truth, and this page is generated from them. `pretzel schema SparkJob` prints
one. A manifest completes and is checked in an editor when its first line names the file that this was written to:

```yaml
# yaml-language-server: $schema=SparkJob.json
```

A `defaults.yaml` in a folder holds what the manifests below it inherit; nothing in it is required. Maps merge deep, lists of items
with a `name` merge by that name, other lists are replaced. `$remove` takes something inherited away: in a map a list of its fields,
in an item of a named list `true` for the whole item.

Fields that begin with `x-`, at the top of a manifest or of a section of `defaults.yaml`, are left alone: a place for YAML anchors.

Scalars follow YAML 1.2: only `true` and `false` are booleans, `on`, `no` and `2024-01-01` are texts. Where a field is a text that
may look like a number (`sparkConf`, a source's `options`), the value is what is written: `3.10`, `01234`, `1e6` and `00` stay so,
and `True` becomes Spark's `true`. Other fields that are texts want such a value in quotes. Parameters keep
their types: `01234` is the number 1234 there, which is a warning.

Every text, number and file has bounds, since each ends up in databases, logs and pages:

- Control characters other than tabs and line ends, halves of surrogate pairs, other line separators and overrides of the writing
  direction are refused (DCP123); only `sep`, `delimiter` and `lineSep` may hold a control character. The tables say which fields
  are one line. A text that is not SQL has at most 16384 characters, unless the table gives fewer (DCP125).
- Numbers are finite, whole ones have 64 bits (DCP124). Dates are from 1900 to 2999 (DCP133).
- A file is a regular file of at most 1 MiB in UTF-8, with any line ends; a manifest has at most 50,000 values in 40 levels, aliases
  written out. The name of a manifest's file, and of the folders above it, can be shown in one line (DCP128).
- Of an `.airflowignore` at most 64 kB, 1000 patterns, 500 characters and 8 wildcards in a pattern are used. The patterns are their
  author's: keep those of `regexp` syntax simple, a nested repetition can take for ages.
- At most 100 problems of a manifest are listed, errors first (DCP126)."""

Schema = Mapping[str, Any]

#: How the bounds of a field are written.
_LIMITS = {
    "format": "one {}",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "maxLength": "at most {} characters",
    "maxItems": "at most {} items",
    "maxProperties": "at most {} fields",
}


@dataclass(frozen=True)
class _Section:
    """A map of a manifest: its path as a reader writes it, and its schema with every reference followed."""

    path: str
    schema: Schema


def manifests_page() -> str:
    """Return the page."""
    parts = [_INTRODUCTION]
    for schema in map(load_schema, _SCHEMAS):
        title, whole = schema["title"], _followed(schema, schema)
        parts += [f"## {title}", str(schema.get("description", ""))]
        for section in _sections("", whole, schema):
            if section.path:
                parts += [f"### {title}: `{section.path}`", str(section.schema.get("description", ""))]
            parts += [
                *_alternatives(section.schema),
                table(("field", "type", "required", "default", "what it is"), _rows(section, schema)),
            ]
    return page(*parts, templates_section())


def _sections(path: str, schema: Schema, root: Schema) -> Iterator[_Section]:
    """Yield the map at ``path`` and the maps below it, in the schema's order."""
    yield _Section(path, schema)
    for name, field in _fields(schema, root):
        inner, suffix = _map_in(field, root)
        if inner and any(_fields(inner, root)) and not _is_repetition(path, name):
            yield from _sections(f"{path}.{name}{suffix}".lstrip("."), inner, root)
        values = _values_of(field, root)
        if values and not _is_repetition(path, name):
            yield from _sections(f"{path}.{name}.<name>".lstrip("."), values, root)


def _values_of(field: Schema, root: Schema) -> Schema | None:
    """Return what the values of a map with names of the author's own are, where they may be maps with fields."""
    values = field.get("additionalProperties")
    followed = _followed(values, root) if isinstance(values, Mapping) else {}
    return followed if "object" in _types(followed) and any(_fields(followed, root)) else None


def _is_repetition(path: str, name: str) -> bool:
    # An environment's overrides are a part of the manifest again; their description says which.
    return name == "environments" or path.startswith("environments")


def _map_in(field: Schema, root: Schema) -> tuple[Schema | None, str]:
    """Return the map that a field is, or a list of whose items it is, and how the path goes on."""
    if "object" in _types(field):
        return field, ""
    if "array" in _types(field):
        items = _followed(field.get("items", {}), root)
        return (items, "[]") if "object" in _types(items) else (None, "")
    return None, ""


def _fields(schema: Schema, root: Schema) -> Iterator[tuple[str, Schema]]:
    for name, field in schema.get("properties", {}).items():
        # `$remove` may stand everywhere and is described once; `false` says that a field may not stand here.
        if not name.startswith("$") and field is not False:
            yield name, _followed(field, root)


def _rows(section: _Section, root: Schema) -> Iterator[tuple[str, str, str, str, str]]:
    required = section.schema.get("required", [])
    for name, field in _fields(section.schema, root):
        default = code(json.dumps(field["default"])) if "default" in field else ""
        yield code(name), _type_text(field, root), "yes" if name in required else "", default, _text(field)


def _text(field: Schema) -> str:
    text = str(field.get("description", ""))
    limits = [word.format(field[key]) for key, word in _LIMITS.items() if key in field]
    if limits:
        text += f" {', '.join(limits).capitalize()}."
    examples = [code(each if isinstance(each, str) else json.dumps(each)) for each in field.get("examples", [])]
    return f"{text} For example {', '.join(examples)}." if examples else text


def _alternatives(schema: Schema) -> list[str]:
    """Return a sentence where one of several fields is needed."""
    names = [code(each["required"][0]) for each in schema.get("anyOf", []) if len(each.get("required", [])) == 1]
    return [f"One of {' and '.join(names)} is needed."] if len(names) > 1 else []


def _type_text(field: Schema, root: Schema) -> str:
    if "enum" in field:
        return ", ".join(code(str(each)) for each in field["enum"])
    if "const" in field:
        return code(str(field["const"]))
    words = {"object": "map", "string": "text", "null": "null", "boolean": "true or false", "integer": "whole number"}
    texts = []
    for each in _types(field):
        if each == "array":
            items = _followed(field.get("items", {}), root)
            texts.append(f"list of {' or '.join({'object': 'maps', 'string': 'texts'}.get(one, one) for one in _types(items))}")
        else:
            texts.append(words.get(each, each))
    return " or ".join(texts)


def _types(schema: Schema) -> list[str]:
    found = schema.get("type", [])
    return [found] if isinstance(found, str) else list(found)


def _followed(schema: Schema, root: Schema) -> dict[str, Any]:
    """Return a schema with its reference followed; what stands beside the reference completes it."""
    if "$ref" not in schema:
        return dict(schema)
    name = str(schema["$ref"]).removeprefix("#/$defs/")
    target = _followed(root["$defs"][name], root)
    return _completed(target, {key: value for key, value in schema.items() if key != "$ref"}, root)


def _completed(base: Schema, beside: Schema, root: Schema) -> dict[str, Any]:
    merged = dict(base)
    for key, value in beside.items():
        if key == "properties":
            ours = {name: field and _followed(field, root) for name, field in base.get(key, {}).items()}
            merged[key] = ours | {
                name: field and _completed(ours.get(name) or {}, _followed(field, root), root) for name, field in value.items()
            }
        elif key == "items":
            merged[key] = _completed(_followed(base.get(key, {}), root), _followed(value, root), root)
        elif key == "required":
            merged[key] = [*base.get(key, []), *(name for name in value if name not in base.get(key, []))]
        else:
            merged[key] = value
    return merged
