"""Hostile files that are too large or too odd to keep in a repository: each is an ordinary text of some hundred kB, or no text at all."""

from __future__ import annotations

import os
from pathlib import Path

_HEAD = "apiVersion: dcp.example.com/v1\nkind: SparkJob\nmetadata: {{name: {name}, namespace: flights, team: team-a}}\n"
_SOURCE = "{name: src, database: d, table: t}"
_SINK = "{name: out, database: d, table: t}"


def manifests() -> dict[str, str]:
    """Manifests by name; ``<name>.sql`` is the SQL of the manifest beside it."""
    fields = "".join(f", zz{number}: 1" for number in range(4000))
    steps = "".join(f"        - {{name: t{n}, query: 'SELECT a FROM {'src' if n == 0 else f't{n - 1}'}'}}\n" for n in range(4000))
    sinks = "".join(f"        - {{name: s{n}, database: d, table: t{n}, input: source_numbr_{n}}}\n" for n in range(1500))
    sources = "".join(f"        - {{name: source_number_{n}, database: d, table: t}}\n" for n in range(1500))
    plain = ", ".join(f"a{number}" for number in range(40000))
    spec = "spec:\n  coreEtl:\n    jobSpec:\n"
    texts = {
        "unknown-fields": f"spec: {{coreEtl: {{jobSpec: {{sources: [{_SOURCE}], sinks: [{_SINK}]}}}}{fields}}}\n",
        "chained": f"{spec}      sources: [{_SOURCE}]\n      transformations:\n{steps}      sinks: [{_SINK}]\n",
        "misspelt": f"{spec}      sources:\n{sources}      sinks:\n{sinks}",
        "commas": f"spec: {{coreEtl: f({plain})}}\n",
    }
    queries = {
        "ctes": "WITH " + ", ".join(f"c{n} AS (SELECT a FROM src)" for n in range(10000)) + " SELECT a FROM c0",
        "unions": " UNION ALL ".join("SELECT a FROM src" for _ in range(10000)),
        "unknown-tables": "SELECT 1 AS a FROM " + ", ".join(f"nothing{n}" for n in range(30000)),
        "many-templates": "SELECT " + ", ".join("{{ ds }}" for _ in range(50000)) + " FROM src",
        "deep-parentheses": "SELECT {{ " + "(" * 5000 + "1" + ")" * 5000 + " }} AS a FROM src",
        "long-integer": "SELECT {{ " + "1" * 5000 + " }} AS a FROM src",
        "nested-ifs": "{% if 1 %}" * 3000 + "SELECT 1 AS a FROM src" + "{% endif %}" * 3000,
    }
    found = {f"{name}.yaml": _HEAD.format(name=name) + text for name, text in texts.items()}
    for name, query in queries.items():
        steps = f"      sources: [{_SOURCE}]\n      transformations: [{{name: out, file: {name}.sql}}]\n      sinks: [{_SINK}]\n"
        found[f"{name}.yaml"] = _HEAD.format(name=name) + spec + steps
        found[f"{name}.sql"] = query
    return found


def write_large_files(folder: Path) -> None:
    """Write all of them, and what is no text: a file without a readable name, a pipe that nobody writes to, a file of 8 GiB."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in manifests().items():
        (folder / name).write_text(text, encoding="utf-8")
    odd = folder / os.fsdecode(b"\xff\xfe.yaml")
    odd.write_text(_HEAD.format(name="odd") + f"spec: {{coreEtl: {{jobSpec: {{sources: [{_SOURCE}], sinks: [{_SINK}]}}}}}}\n")
    os.mkfifo(folder / "pipe.yaml")
    with (folder / "sparse.yaml").open("wb") as file:
        file.truncate(8 * 1024**3)
