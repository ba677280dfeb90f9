"""Manifests that grow with a number in one way each: what a check must be able to read in a time that grows no faster."""

from __future__ import annotations

from collections.abc import Callable

_HEAD = "apiVersion: dcp.example.com/v1\nkind: SparkJob\nmetadata: {name: large, namespace: flights, team: team-a}\n"
_SOURCE = "{name: src, database: d, table: t}"
_SINK = "{name: out, database: d, table: t, input: src}"


def _job(sources: str = f"[{_SOURCE}]", sinks: str = f"[{_SINK}]", steps: str = "[]", more: str = "") -> str:
    spec = f"sources: {sources}, transformations: {steps}, sinks: {sinks}"
    return f"{_HEAD}spec: {{coreEtl: {{jobSpec: {{{spec}}}}}{more}}}\n"


def unknown_fields(size: int) -> str:
    """Fields that nobody knows, all in one line."""
    return _job(more="".join(f", field_{number}: 1" for number in range(size)))


def split_at_commas(size: int) -> str:
    """A text in braces that each of its commas ends."""
    return f"{_HEAD}spec: {{coreEtl: f({', '.join(f'a{number}' for number in range(size))})}}\n"


def misspelt_inputs(size: int) -> str:
    """Sinks that each write what no source is called."""
    sources = ", ".join(f"{{name: source_number_{number}, database: d, table: t}}" for number in range(size))
    sinks = ", ".join(f"{{name: s{number}, database: d, table: t{number}, input: source_numbr_{number}}}" for number in range(size))
    return _job(f"[{sources}]", f"[{sinks}]")


def misspelt_fields(size: int) -> str:
    """Sources that each lack what they must have, under a name that is nearly it."""
    return _job("[" + ", ".join(f"{{name: s{number}, databse: d, tabel: t}}" for number in range(size)) + "]")


def wrong_types(size: int) -> str:
    """Parameters and arguments that are maps in place of texts."""
    return _job(more=f", sparkConf: {{{', '.join(f's{number}: {{a: 1}}' for number in range(size))}}}")


def given_twice(size: int) -> str:
    """Names of fields and of sources that are there already."""
    return _job(more=", sparkConf: {" + ", ".join(f"spark.sql.x{number // 2}: 1" for number in range(size)) + "}")


def numbers_out_of_range(size: int) -> str:
    """A list of numbers that nobody keeps."""
    return _job(more=f", orchestration: {{parameters: {{many: [{', '.join(['1e999'] * size)}]}}}}")


def merged_maps(size: int) -> str:
    """A map that merges many others."""
    return f"x-map: &map {{a: 1}}\n{_job(more=', sparkConf: {<<: [' + ', '.join(['*map'] * size) + ']}')}"


def overrides(size: int) -> str:
    """Environments that each override something."""
    return _job(
        more=", environments: {" + ", ".join(f"playground_u{number}: {{sparkConf: {{a: 1}}}}" for number in range(size)) + "}"
    )


def overridden_sources(size: int) -> str:
    """An override of every source, half of them without a name."""
    sources = ", ".join(f"{{name: source_{number}, database: d, table: t}}" for number in range(size))
    changes = ", ".join(f"{{name: source_{number}, table: u}}, {{table: u}}" for number in range(size))
    override = f", environments: {{prod: {{coreEtl: {{jobSpec: {{sources: [{changes}]}}}}}}}}"
    return _job(f"[{sources}]", "[{name: out, database: d, table: t, input: source_0}]", more=override)


def long_text(size: int) -> str:
    """A description of many words."""
    return _HEAD.replace("team: team-a", f"team: team-a, description: {'word ' * size}") + "spec: {}\n"


def removed_fields(size: int) -> str:
    """Names of fields that are to be removed and are not there."""
    return _job(more=", $remove: [" + ", ".join(f"field_{number}" for number in range(size)) + "]")


#: Each shape with a size that makes a file of about 300 kB or reaches what a manifest may hold.
SHAPES: dict[str, tuple[Callable[[int], str], int]] = {
    "unknown fields": (unknown_fields, 16_000),
    "commas in a plain text": (split_at_commas, 24_000),
    "misspelt inputs": (misspelt_inputs, 2_500),
    "misspelt inputs, as many as may be": (misspelt_inputs, 250),
    "misspelt fields": (misspelt_fields, 5_000),
    "misspelt fields, as many as may be": (misspelt_fields, 250),
    "values of a wrong type": (wrong_types, 10_000),
    "fields given twice": (given_twice, 12_000),
    "numbers out of range": (numbers_out_of_range, 20_000),
    "merged maps": (merged_maps, 10_000),
    "overrides": (overrides, 5_000),
    "overridden sources": (overridden_sources, 2_500),
    "overridden sources, as many as may be": (overridden_sources, 250),
    "a long text": (long_text, 60_000),
    "removed fields": (removed_fields, 16_000),
}
