"""No text of a manifest reaches a field that Airflow renders: only our sandbox renders what authors write."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import jinja2
import pytest
from airflow.sdk import DAG
from airflow.sdk.definitions._internal.templater import Templater

from airflow_dcp_provider.model.errors import ManifestError
from airflow_dcp_provider.model.names import is_email_address
from dag_factory.compiled import CompileSettings, compile_manifest
from dag_factory.dag import build_dag_from_parts
from dag_factory.notifications import RunMail
from dag_factory.parts import DagParts, dag_parts
from tests.hostile.full_manifests import KINDS, WAYS, nested, orchestration_path, write_with

CANARY = "{{ canary() }}"

#: Addresses that are something else beside an address, or lead elsewhere.
NO_ADDRESSES = (
    "{{macros['json'].codecs.builtins.eval('1+1')}}@example.com",
    "{{1}}@example.com",
    "{%raw%}@example.com",
    "a@b.example.com\n",
    "a@example.com\r\nBcc: b@example.com",
    "a@example.com,b@example.com",
    "a@example.com;b@example.com",
    "A Name <a@example.com>",
    '"a b"@example.com',
    "a@@example.com",
    "a@{{ds}}.com",
    "a@example..com",
    "a@-example.com",
    "@example.com",
    "a@",
    "a\0@example.com",
    "a@exämple.com",
    f"{'a' * 65}@example.com",
    f"a@{'b' * 64}.com",
    f"a@{'b.' * 200}com",
    "/etc/passwd.html",
)

ADDRESSES = ("a@b", "first.last+tag@sub.example.com", "data-oncall@example.co.uk", "o'neill@example.com", "a_b=c~d@example.com")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("event", ["onFailure", "onSuccess"])
def test_what_is_not_a_plain_address_is_refused(tmp_path: Path, kind: str, way: str, event: str) -> None:
    for number, address in enumerate(NO_ADDRESSES):
        values = nested((*orchestration_path(kind), "airflow", "notifications", event), ["ops@example.com", address])
        path = write_with(tmp_path / str(number), kind, way, values)
        with pytest.raises(ManifestError) as caught:
            compile_manifest(path, path.parent, ("local",), CompileSettings())
        assert {problem.code for problem in caught.value.problems} <= {
            "DCP104",
            "DCP113",
            "DCP123",
            "DCP125",
            "DCP127",
            "DCP184",
        }, address
        place = caught.value.problems[0].position
        assert place is not None
        assert place.file == ("defaults.yaml" if way == "defaults" else "daily.yaml")


@pytest.mark.parametrize("address", ADDRESSES)
def test_plain_addresses_are_taken(tmp_path: Path, address: str) -> None:
    assert is_email_address(address)
    values = nested((*orchestration_path("spark_job"), "airflow", "notifications", "onFailure"), [address])
    path = write_with(tmp_path, "spark_job", "manifest", values)
    assert compile_manifest(path, tmp_path, ("local",), CompileSettings()) is not None


def test_a_mail_goes_to_a_bounded_number_of_addresses(tmp_path: Path) -> None:
    many = [f"a{number}@example.com" for number in range(51)]
    values = nested((*orchestration_path("spark_job"), "airflow", "notifications", "onFailure"), many)
    path = write_with(tmp_path, "spark_job", "manifest", values)
    with pytest.raises(ManifestError, match=r"DCP127 .*onFailure` has 51 items"):
        compile_manifest(path, tmp_path, ("local",), CompileSettings())


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_an_address_that_gets_past_lint_builds_no_dag(tmp_path: Path, address: str) -> None:
    parts = parts_of(tmp_path, "spark_job")
    with pytest.raises(ManifestError, match="DCP190"):
        build_dag_from_parts(with_addresses(parts, [address]), ["local"], "local")


@pytest.mark.parametrize("kind", KINDS)
def test_no_template_field_of_any_object_holds_text_of_a_manifest(tmp_path: Path, kind: str) -> None:
    """Whatever lint lets through: every text of the DAG's parts that Airflow accepts there is a canary."""
    dag = build_dag_from_parts(everywhere(parts_of(tmp_path, kind)), ["local"], "local")
    templaters = list(objects_in(dag, Templater))
    # The walk reaches the tasks and the notifiers, or it would prove nothing.
    assert len(templaters) >= len(dag.tasks) + 2
    for each in templaters:
        for name in each.template_fields:
            shown = repr(getattr(each, name, None))
            assert "canary" not in shown, f"{type(each).__name__}.{name}"
            assert "ops@example.com" not in shown, f"{type(each).__name__}.{name}"
        assert not each.template_ext
    for task in dag.tasks:
        for name in ("map_index_template", "run_as_user", "email", "doc_md", "doc", "doc_rst", "doc_yaml", "doc_json"):
            assert "canary" not in repr(getattr(task, name, None)), name
    for name in (
        "dag_display_name",
        "template_searchpath",
        "user_defined_macros",
        "user_defined_filters",
        "owner_links",
        "deadline",
    ):
        assert "canary" not in repr(getattr(dag, name, None)), name


@pytest.mark.parametrize("kind", KINDS)
def test_rendering_every_object_evaluates_no_canary(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dag = build_dag_from_parts(everywhere(parts_of(tmp_path, kind)), ["local"], "local")
    sources: list[str] = []
    from_string = jinja2.Environment.from_string

    def recorded(self: jinja2.Environment, source: Any, *others: Any, **more: Any) -> jinja2.Template:
        sources.append(str(source))
        return from_string(self, source, *others, **more)

    monkeypatch.setattr(jinja2.Environment, "from_string", recorded)
    dag.resolve_template_files()
    handle = {"request": {"sql": CANARY}}
    for task_id in ("wait", "publish"):
        task: Any = dag.get_task(task_id)
        task.execution = handle
        monkeypatch.setattr("airflow_dcp_provider.sensors.spark_execution._is_handle", lambda value: False)
        task.render_template_fields({"dag": dag, "ti": None})
        # Twice, as a task of `dag.test()` that was deferred.
        task.render_template_fields({"dag": dag, "ti": None})
        assert task.execution == handle
    sent = send(dag.on_failure_callback, dag, monkeypatch)
    assert sent["to"] == ["ops@example.com"]
    assert not [source for source in sources if "canary" in source]


def test_a_mail_holds_the_run_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = with_addresses(parts_of(tmp_path, "spark_job"), ["ops@example.com"])
    dag = build_dag_from_parts(parts, ["local"], "local")
    sent = send(dag.on_failure_callback, dag, monkeypatch, run_id="<script>\r\nBcc: {{ 1 }}")
    assert sent["subject"] == "daily failed: <script> Bcc: {{ 1 }}"
    assert sent["html_content"] == "<p>The run <b>&lt;script&gt; Bcc: {{ 1 }}</b> of <b>daily</b> failed.</p>"


def test_a_dags_documentation_is_no_markup_of_the_authors(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, "spark_job")
    odd = DagParts.from_dict({**parts.to_dict(), "path": "a\n# b <img src=x> [c](javascript:d) www.example.com `e`.yaml"})
    doc = build_dag_from_parts(odd, ["local"], "local").doc_md
    assert doc is not None
    head = doc.split("```yaml")[0]
    assert r"a \# b \<img src=x\> \[c\](javascript:d) www\.example.com \`e\`.yaml" in head


def test_a_long_run_of_backticks_costs_no_time(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, "spark_job")
    text = parts.text + "# " + "`" * 900_000 + "\n"
    doc = build_dag_from_parts(DagParts.from_dict({**parts.to_dict(), "text": text}), ["local"], "local").doc_md
    assert doc is not None
    assert doc.endswith("\n" + "`" * 900_001 + "\n")


def parts_of(tmp_path: Path, kind: str) -> DagParts:
    """The parts of a sound manifest with every optional setting of Airflow."""
    airflow = {
        "pool": "spark",
        "queue": "big",
        "priority": 3,
        "notifications": {"onFailure": ["ops@example.com"], "onSuccess": ["ops@example.com"]},
    }
    values = nested(orchestration_path(kind), {"airflow": airflow, "parameters": {"word": "text"}, "startDate": "2024-01-01"})
    path = write_with(tmp_path, kind, "manifest", values)
    compiled = compile_manifest(path, tmp_path, ("local",), CompileSettings())
    assert compiled is not None
    return dag_parts(compiled, "local")


def with_addresses(parts: DagParts, addresses: list[str]) -> DagParts:
    airflow = {**parts.dag["airflow"], "notifications": {"onFailure": addresses}}
    return DagParts.from_dict({**parts.to_dict(), "dag": {**parts.dag, "airflow": airflow}})


#: Texts that Airflow itself reads as something else than text.
_READ_BY_AIRFLOW = {"dag_id", "schedule", "start_date", "end_date", "notifications"}


def everywhere(parts: DagParts) -> DagParts:
    """The same parts with a canary in place of every text that Airflow takes as it is."""

    def replaced(value: Any, name: str = "") -> Any:
        if name in _READ_BY_AIRFLOW:
            return value
        if isinstance(value, str):
            return f"{CANARY}.sql" if name == "query" else CANARY
        if isinstance(value, Mapping):
            return {key: replaced(item, key) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(replaced(item, name) for item in value)
        return value

    return DagParts.from_dict(
        {**replaced(parts.to_dict()), "inlets": ["iceberg://canary/a/b"], "outlets": ["iceberg://canary/c/d"]}
    )


def objects_in(root: Any, kind: type) -> Iterator[Any]:
    """Every object of ``kind`` that can be reached from ``root`` through attributes, maps and lists."""
    visited: set[int] = set()
    pending = [root]
    while pending:
        value = pending.pop()
        if id(value) in visited or isinstance(value, str | bytes | int | float | type | types.ModuleType | types.FunctionType):
            continue
        visited.add(id(value))
        if isinstance(value, kind):
            yield value
        if isinstance(value, Mapping):
            pending += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set | frozenset):
            pending += value
        else:
            pending += getattr(value, "__dict__", {}).values()
            slots = {name for cls in type(value).__mro__ for name in getattr(cls, "__slots__", ()) or ()}
            pending += [getattr(value, name, None) for name in slots if isinstance(name, str) and not name.startswith("__")]


def send(callback: Any, dag: DAG, monkeypatch: pytest.MonkeyPatch, run_id: str = "scheduled__2024") -> dict[str, Any]:
    """What a callback hands to the smtp provider."""
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps({"conn_type": "smtp", "extra": {"from_email": "from@example.com"}}))
    messages: list[dict[str, Any]] = []

    class Server:
        from_email = "from@example.com"
        subject_template = html_content_template = None

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *details: object) -> None:
            pass

        def send_email_smtp(self, **message: Any) -> None:
            messages.append(message)

    (mail,) = callback if isinstance(callback, list) else [callback]
    assert isinstance(mail, RunMail)
    monkeypatch.setattr(RunMail, "hook", Server())
    mail({"dag": dag, "run_id": run_id})
    return messages[0]
