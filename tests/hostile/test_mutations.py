"""Thousands of mutations of the examples: each is a result or coded problems, and none takes long."""

from __future__ import annotations

import copy
import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_dcp_provider.model.error_codes import all_codes
from airflow_dcp_provider.model.errors import ManifestError
from dag_factory.compiled import CompileSettings, compile_manifest

EXAMPLES = Path(__file__).parents[2] / "examples" / "manifests"
MANIFESTS = [path for path in sorted(EXAMPLES.rglob("*.yaml")) if path.name != "defaults.yaml"]
CHUNKS, OF_A_CHUNK = 20, 250
MOST_SECONDS = 2.0

#: Bytes that something reads in a way of its own.
BYTES = [
    b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"\r", b"\r\n", b"\n\n", b"\t", b"\x85", b"\x1b[", b"\xe2\x80\xa8",
    b"\xe2\x80\xae", b"'", b'"', b"{", b"}", b"[", b"]", b"|", b">", b"|-\n", b"&a ", b"*a", b"<<: *a", b"!!python/object:x ", b"!t ", b"%YAML 9.9\n",
    b"---\n", b"...\n", b"#", b": ", b"- ", b"? ", b",", b"{{", b"}}", b"{%", b"%}", b"{{ ds", b"{% raw %}", b"{#", b"`", b"--", b"/*", b"*/", b";", b"(", b")",
    b"WITH x AS (", b"UNION ALL ", b"$remove: true", b"environments: ", b"9" * 50, b"1e999", b"((((((((", b"{" * 60, b"a" * 5000,
]  # fmt: skip
#: Values that are odd somewhere.
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**100, 0.1, 1e308, float("inf"), float("nan"), "", " ", "\n", "x", "on", "~", "0", "1e5", "8g",
    "-1g", "99999999999999999999g", "0001-01-01", "9999-12-31T23:59:59-14:00", "2024-02-30", "2024-01-01T00:00:00Z", "@daily", "@never", "* * * * *",
    "0 0 31 2 *", "60 * * * *", "*/0 * * * *", "0-0/0 0 L W #", "{{ ds }}", "{{ params.parameters.x }}", "{{ x", "{% if %}", "{{ 1/0 }}", "{{ ds[9] }}",
    "SELECT 1", "SELECT * FROM", "1 = 1; DROP TABLE t", "a.b.c.d", "iceberg://a/b/c", "iceberg://", "../x.sql", "/etc/passwd", ".", "x" * 300, "x" * 20_000,
    "\u202e", "a\u0000b", "é" * 100, "list<int>", "struct<a: int>", "map<", "decimal(99,1)", "spark.x=y", [], {}, [[]], [None], [{}], {"": ""}, {"$remove": True},
    {"$remove": ["x"]}, {"name": "x"}, [{"name": "x"}, {"name": "x"}], {"a": {"b": {"c": {"d": {}}}}}, ["x"] * 1_500, dict.fromkeys(map(str, range(1_500))),
]  # fmt: skip
NAMES = [
    "",
    "x",
    "name",
    "$remove",
    "environments",
    "prod",
    "playground",
    "type",
    "sql",
    "query",
    "file",
    "<<",
    "x-mine",
    "kind",
    "spec",
    "workflow",
    "é",
    "a b",
]

Files = dict[str, bytes]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in below:
        yield (*path, key)
        yield from places(each, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def change_bytes(files: Files, name: str, dice: random.Random) -> None:
    text = files[name]
    for _ in range(dice.randint(1, 3)):
        start = dice.randint(0, len(text))
        end = min(len(text), start + dice.choice([0, 0, 1, 2, 10, 60, 500]))
        middle = dice.choice([b"", dice.choice(BYTES), bytes([dice.randrange(256)]), text[start:end] * 2, text[start:end][::-1]])
        text = text[:start] + middle + text[end:]
    files[name] = text


def change_nodes(files: Files, name: str, dice: random.Random) -> None:
    content = yaml.safe_load(files[name])
    for _ in range(dice.randint(1, 3)):
        everywhere = list(places(content))
        if not everywhere:
            return
        path = dice.choice(everywhere)
        holder = at(content, path[:-1])
        match dice.randrange(6):
            case 0:
                del holder[path[-1]]
            case 1 if isinstance(holder, dict):
                holder[dice.choice(NAMES)] = holder.pop(path[-1])
            case 2:
                other = dice.choice(everywhere)
                value = copy.deepcopy(at(content, other))
                at(content, other[:-1])[other[-1]] = copy.deepcopy(holder[path[-1]])
                # What was swapped may have held the other.
                if path[:-1] != other[: len(path) - 1] or len(other) <= len(path):
                    holder[path[-1]] = value
            case 3 if isinstance(holder, list):
                holder += copy.deepcopy(holder[-3:])
            case 4 if isinstance(holder, dict):
                holder[dice.choice(NAMES)] = copy.deepcopy(dice.choice(VALUES))
            case _:
                holder[path[-1]] = copy.deepcopy(dice.choice(VALUES))
    style = dice.choice([None, None, '"', "'"])
    files[name] = yaml.safe_dump(
        content, sort_keys=False, default_style=style, default_flow_style=dice.choice([None, True, False])
    ).encode()


def change_lines(files: Files, name: str, dice: random.Random) -> None:
    lines = files[name].split(b"\n")
    for _ in range(dice.randint(1, 3)):
        first, second = dice.randrange(len(lines)), dice.randrange(len(lines))
        match dice.randrange(4):
            case 0:
                lines[first], lines[second] = lines[second], lines[first]
            case 1:
                lines.insert(first, lines[second])
            case 2:
                lines[first] = dice.choice([b"  ", b"\t", b"        "]) + lines[first]
            case _:
                lines[first] += dice.choice(BYTES)
    files[name] = b"\n".join(lines)


CHANGES: list[Callable[[Files, str, random.Random], None]] = [change_bytes, change_nodes, change_nodes, change_lines]


@pytest.fixture(scope="module")
def sources() -> list[tuple[str, Files]]:
    """Each example's manifest and the files beside it and above it, all in one folder."""
    found = []
    for path in MANIFESTS:
        beside = {each.name: each.read_bytes() for each in path.parent.iterdir() if each.suffix in {".yaml", ".sql"}}
        above = path.parent.parent / "defaults.yaml"
        found.append((path.name, {**({"defaults.yaml": above.read_bytes()} if above.exists() else {}), **beside}))
        # Nothing that is measured pays for imports.
        compile_manifest(path, EXAMPLES, ("local",), CompileSettings())
    return found


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_mutation_is_a_result_or_coded_problems(tmp_path: Path, sources: list[tuple[str, Files]], chunk: int) -> None:
    codes = set(all_codes())
    for number in range(OF_A_CHUNK):
        seed = chunk * OF_A_CHUNK + number
        dice = random.Random(seed)
        name, original = dice.choice(sources)
        files = dict(original)
        changed = dice.choice([name, name, name, *files])
        change = dice.choice([each for each in CHANGES if changed.endswith(".yaml") or each is not change_nodes])
        change(files, changed, dice)
        folder = tmp_path / str(seed)
        folder.mkdir()
        for each, content in files.items():
            (folder / each).write_bytes(content)
        began = time.process_time()
        try:
            compile_manifest(folder / name, folder, ("local",), CompileSettings())
        except ManifestError as error:
            caught = error
        else:
            caught = None
        taken = time.process_time() - began
        assert taken < MOST_SECONDS, f"{seed} took {taken:.1f} s: {changed}"
        if caught:
            assert {problem.code for problem in caught.problems} <= codes, seed
            assert len(str(caught)) <= 50_000, seed
            # Unexpected exceptions have a code as well, but none of these may be one.
            assert "DCP195" not in {problem.code for problem in caught.problems}, f"{seed}: {caught}"
        shutil.rmtree(folder)
