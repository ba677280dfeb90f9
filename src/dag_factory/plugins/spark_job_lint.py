"""What lint says about a SparkJob beyond its schema."""

from __future__ import annotations

import re
from typing import Any

from dag_factory.manifest.node import Node
from dag_factory.manifest.problems import Problems, hint_for
from dag_factory.manifest.resolved import ResolvedManifest
from dag_factory.manifest.templates import check_template, check_templates
from dag_factory.manifest.values import (
    check_description,
    check_distinct,
    check_identifier,
    check_job_name,
    check_label_name,
    check_labels,
)
from dag_factory.plugins import job_parts, queries
from dag_factory.plugins.spark_job import query_text, sink_input

_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*")

#: The most sinks that are reported because their input does not exist.
_MAX_UNKNOWN = 20


def lint(manifest: ResolvedManifest, problems: Problems) -> None:
    """Record every error and warning of a manifest that satisfies its schema."""
    spec = manifest.root.fields["spec"]
    orchestration = spec.get("orchestration")
    _check_api_version(manifest, problems)
    check_job_name(manifest.root.fields["metadata"].fields["name"], problems)
    for name in ("namespace", "team"):
        if found := manifest.get("metadata", name):
            check_label_name(found, name, problems)
    check_labels(manifest.get("metadata", "labels"), problems)
    job_parts.check_resources(spec.get("resources"), problems, mended=manifest.mended)
    job_parts.check_spark_conf(spec.get("sparkConf"), problems, manifest.settings.allowed_spark_conf)
    job_parts.check_orchestration(orchestration, problems)
    parameters = job_parts.plain(spec.get("orchestration", "parameters"), {})
    known_parameters = None if manifest.mended else parameters
    check_templates(manifest.root, known_parameters, problems, manifest.sources)
    if job := spec.get("coreEtl", "jobSpec"):
        _check_job(job, manifest, parameters, problems)


def _check_api_version(manifest: ResolvedManifest, problems: Problems) -> None:
    version = manifest.root.fields["apiVersion"]
    host, _, number = version.text.rpartition("/")
    hosts = manifest.settings.api_group_hosts
    if number != "v1" or not _HOST.fullmatch(host):
        example = f"{hosts[0] if hosts else 'dcp.example.com'}/v1"
        problems.add("DCP115", f"`{version.text}` is no apiVersion that is known here", version.position, f"write {example}")
    elif hosts and host not in hosts:
        hint = hint_for(host, hosts, "this deployment accepts")
        problems.add("DCP115", f"the host `{host}` of the apiVersion is not accepted here", version.position, hint)


def _check_job(job: Node, manifest: ResolvedManifest, parameters: dict[str, Any], problems: Problems) -> None:
    sources, steps, sinks = (_items(job, name) for name in ("sources", "transformations", "sinks"))
    _check_names(sources, steps, sinks, problems)
    for source in sources:
        _check_table(source, problems)
        job_parts.check_options(source, problems)
        if condition := source.get("filter"):
            queries.check_filter(condition, manifest, parameters, problems)
    found = []
    for step in steps:
        sql = query_text(step, manifest, problems)
        if sql is not step:
            if sql is not step.get("query"):
                check_template(sql, None if manifest.mended else parameters, problems, manifest.sources)
            queries.check_written(sql, manifest, parameters, problems)
            found.append(queries.read(step.fields["name"], sql, manifest, parameters))
    for query in found:
        queries.check_syntax(query, manifest, problems)
    for sink in sinks:
        _check_names_in_sink(sink, problems)
    if not manifest.mended:
        _check_connections(job, tuple(found), manifest, problems)


def _check_connections(job: Node, found: tuple[queries.Query, ...], manifest: ResolvedManifest, problems: Problems) -> None:
    """Record what is wrong with how sources, transformations and sinks refer to each other."""
    sources, steps, sinks = (_items(job, name) for name in ("sources", "transformations", "sinks"))
    source_names = tuple(source.fields["name"].text for source in sources)
    if len(found) == len(steps):
        tables = {source.fields["name"].text: _table_of(source, manifest) for source in sources}
        queries.check_views(found, tables, manifest, problems)
    step_names = tuple(step.fields["name"].text for step in steps)
    columns = {query.name.text: query.columns for query in found}
    written = {sink_input(sink, step_names, source_names) for sink in sinks}
    for query in found:
        if query.name.text in written:
            queries.check_distinct_columns(query, manifest, problems)
    unknown = 0
    for sink in sinks:
        if unknown >= _MAX_UNKNOWN:
            text = "there are more sinks whose input is not there"
            problems.add("DCP149", text, sink.position, "correct those that are listed first")
            break
        unknown += not _check_input(sink, step_names, source_names, columns, problems)


def _table_of(source: Node, manifest: ResolvedManifest) -> queries.TableName | None:
    """Return the full name of an Iceberg source's table, or None for files."""
    fields = source.plain()
    if fields.get("type", "iceberg") != "iceberg":
        return None
    return fields.get("catalog", manifest.settings.default_catalog), fields.get("database", ""), fields.get("table", "")


def _items(job: Node, name: str) -> tuple[Node, ...]:
    found = job.get(name)
    return found.items if found else ()


def _check_names(sources: tuple[Node, ...], steps: tuple[Node, ...], sinks: tuple[Node, ...], problems: Problems) -> None:
    """Record DCP137 for bad names and DCP140 for a view's or sink's name that is given twice."""
    for group, what in (((*sources, *steps), "source or transformation"), (sinks, "sink")):
        names = [item.fields["name"] for item in group]
        for name in names:
            check_identifier(name, what, problems)
        check_distinct(names, what, problems)


def _check_table(item: Node, problems: Problems) -> None:
    for name in ("catalog", "database", "table"):
        check_identifier(item.get(name), name, problems)


def _check_names_in_sink(sink: Node, problems: Problems) -> None:
    _check_table(sink, problems)
    check_description(sink.get("description"), problems)
    for field, what in (("partitionBy", "partition column"), ("mergeKeys", "merge key")):
        for column in _items(sink, field):
            check_identifier(column, what, problems)
        check_distinct(_items(sink, field), what, problems, "leave one of them out")


def _check_input(
    sink: Node,
    step_names: tuple[str, ...],
    source_names: tuple[str, ...],
    columns: dict[str, tuple[str, ...] | None],
    problems: Problems,
) -> bool:
    """Record what is wrong with a sink's input and the columns that it needs; return whether there is such an input."""
    reads = sink_input(sink, step_names, source_names)
    if not reads:
        hint = f"give the sink an `input`: {', '.join(source_names)}" if source_names else "add a source or a transformation"
        problems.add("DCP149", "it is not said what this sink writes", sink.position, hint)
        return False
    if reads not in step_names and reads not in source_names:
        where = sink.fields["input"].position
        hint = hint_for(reads, [*step_names, *source_names][: queries.MAX_CANDIDATES], "there are")
        problems.add("DCP149", f"`{reads}` is neither a transformation nor a source", where, hint)
        return False
    queries.check_columns(_items(sink, "partitionBy"), columns.get(reads), "partition column", problems, always=("ds",))
    queries.check_columns(_items(sink, "mergeKeys"), columns.get(reads), "merge key", problems)
    return True
