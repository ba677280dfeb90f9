"""Texts stay as they are written, and a manifest is the same whatever its lines end in."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_dcp_provider.model.errors import ManifestError
from dag_factory.compiled import CompiledManifest, CompileSettings, compile_manifest
from dag_factory.manifest.yaml_reader import read_yaml

DATASET = """\
x-settings: &settings {{spark.sql.shuffle.partitions: 010}}
metadata: {{technical_owner: team-a, description: "two\\nlines"}}
dataset:
  name: orders
  fields:
    - {{name: id, type: long}}
workflow:
  sql: orders.sql
  schedule: "@daily"
  sparkConf: {conf}
"""
SQL = "SELECT id\nFROM raw.events\nWHERE ds = '{{ ds }}'\n"


def compiled(folder: Path, conf: str = "{}", text: bytes | None = None, sql: bytes = SQL.encode()) -> CompiledManifest:
    (folder / "orders.yaml").write_bytes(DATASET.format(conf=conf).encode() if text is None else text)
    (folder / "orders.sql").write_bytes(sql)
    found = compile_manifest(folder / "orders.yaml", folder, ("local",), CompileSettings())
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("3.10", "3.10"),
        ("01234", "01234"),
        ("1e6", "1e6"),
        ("1E-4", "1E-4"),
        ("00", "00"),
        ("-0", "-0"),
        ("0.10", "0.10"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        (".5", ".5"),
        ("+1", "+1"),
        ("1.", "1."),
        ("4", "4"),
        ("100000000000000000000", "100000000000000000000"),
        ("1" * 60, "1" * 60),
        ("1e999", "1e999"),
        (".inf", ".inf"),
        (".NaN", ".NaN"),
        ("off", "off"),
        ("yes", "yes"),
        ("2024-01-05", "2024-01-05"),
        ("12:30:45", "12:30:45"),
        # Spark's own words for these are small.
        ("true", "true"),
        ("True", "true"),
        ("FALSE", "false"),
        ('"True"', "True"),
        ("'01'", "01"),
    ],
)
def test_what_goes_to_spark_is_the_text_that_is_written(tmp_path: Path, written: str, text: str) -> None:
    conf = compiled(tmp_path, f"{{spark.myapp.x: {written}}}").jobs["local"].job.spark_conf
    assert conf == {"spark.myapp.x": text}


def test_options_of_sources_are_texts_too(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(
        "apiVersion: dcp.example.com/v1\nkind: SparkJob\nmetadata: {name: nulls, team: team-a}\n"
        "spec:\n  coreEtl:\n    jobSpec:\n"
        "      sources: [{name: m, type: csv, path: /data, options: {header: True, nullValue: 00, samplingRatio: 1.0}}]\n"
        "      sinks: [{name: m, database: d, table: meter}]\n"
    )
    found = compile_manifest(tmp_path / "job.yaml", tmp_path, ("local",), CompileSettings())
    assert found is not None
    options = found.jobs["local"].job.core_etl.job.sources[0].options
    assert options == {"header": "true", "nullValue": "00", "samplingRatio": "1.0"}


@pytest.mark.parametrize("written", ["1.10", "0123", "True", "1e6", "00"])
def test_a_hint_quotes_a_value_as_it_is_written(tmp_path: Path, written: str) -> None:
    text = DATASET.format(conf="{}").replace("technical_owner: team-a", f"technical_owner: {written}")
    with pytest.raises(ManifestError) as caught:
        compiled(tmp_path, text=text.encode())
    (problem,) = caught.value.problems
    assert problem.hint == f'put it in quotes: "{written}"'
    assert f"`{written}`" in problem.message


def test_an_anchor_of_an_own_field_keeps_the_text(tmp_path: Path) -> None:
    assert compiled(tmp_path, "{<<: *settings, spark.myapp.x: 1}").jobs["local"].job.spark_conf == {
        "spark.sql.shuffle.partitions": "010",
        "spark.myapp.x": "1",
    }


def test_own_fields_may_stand_in_defaults_and_hold_anything(tmp_path: Path) -> None:
    (tmp_path / "defaults.yaml").write_text(
        "x-all: &all {catchup: true}\nDerivedDataset:\n  x-more: [1, {a: '{{ nothing.of.ours }}'}]\n  workflow: *all\n"
    )
    assert compiled(tmp_path, text=(DATASET.format(conf="{}") + "x-note: '{{ nothing.of.ours }}'\n").encode()).dag.catchup


def test_own_fields_do_not_stand_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        compiled(tmp_path, text=DATASET.format(conf="{}\n  x-more: 1").encode())
    assert [problem.code for problem in caught.value.problems] == ["DCP110"]


def ended_by(end: str) -> tuple[bytes, bytes]:
    return (DATASET.format(conf="{}").replace("\n", end).encode(), SQL.replace("\n", end).encode())


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_a_byte_order_mark_change_nothing(tmp_path: Path, end: str, mark: bytes) -> None:
    expected = compiled(tmp_path)
    text, sql = ended_by(end)
    found = compiled(tmp_path, text=mark + text, sql=mark + sql)
    assert found == expected


def test_line_ends_may_be_mixed(tmp_path: Path) -> None:
    expected = compiled(tmp_path)
    ends = ["\r\n", "\r", "\n"]
    text, sql = (
        "".join(line + ends[number % 3] for number, line in enumerate(each.splitlines()))
        for each in (DATASET.format(conf="{}"), SQL)
    )
    assert compiled(tmp_path, text=text.encode(), sql=sql.encode()) == expected


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_places_are_right_whatever_lines_end_in(tmp_path: Path, end: str) -> None:
    text, _ = ended_by(end)
    sql = "SELECT id,\n  {{ dss }} AS x\nFROM raw.events\n".replace("\n", end).encode()
    with pytest.raises(ManifestError) as caught:
        compiled(tmp_path, text=text.replace(b"type: long", b"type: lung"), sql=sql)
    assert {problem.code: str(problem.position) for problem in caught.value.problems} == {
        "DCP152": "orders.yaml:6:24",
        "DCP166": "orders.sql:2:6",
        "DCP151": "orders.sql:2:16",
    }


def test_a_manifest_in_another_encoding_is_no_foreign_file(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        compiled(tmp_path, text=DATASET.format(conf="{}").encode("utf-16"))
    (problem,) = caught.value.problems
    assert problem.code == "DCP103"
    assert "UTF-16" in problem.hint


def test_a_number_knows_how_it_is_written() -> None:
    node = read_yaml("a: 010\nb: 1.50\nc: True\nd: ~\ne: text\n", "f.yaml", CompileSettings())
    assert node is not None
    assert [value.written for value in node.fields.values()] == ["010", "1.50", "True", "~", "text"]
    assert [value.value for value in node.fields.values()] == [10, 1.5, True, None, "text"]
