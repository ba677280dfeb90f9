"""What lint says about a derived dataset beyond its schema."""

from __future__ import annotations

import re

from airflow_dcp_provider.model.names import is_dag_id, is_identifier
from dag_factory.manifest.node import Node
from dag_factory.manifest.problems import Problems, did_you_mean, hint_for
from dag_factory.manifest.resolved import ResolvedManifest
from dag_factory.manifest.templates import check_template, check_templates
from dag_factory.manifest.types import TYPE_NAMES, iceberg_type, is_bare_decimal
from dag_factory.manifest.values import check_description, check_distinct, check_identifier, check_label_name, check_labels
from dag_factory.plugins import job_parts, queries


def lint(manifest: ResolvedManifest, problems: Problems) -> None:
    """Record every error and warning of a manifest that satisfies its schema."""
    workflow, dataset = manifest.root.fields["workflow"], manifest.root.fields["dataset"]
    _check_name(dataset.fields["name"], problems)
    owner = manifest.get("metadata", "technical_owner")
    team = manifest.get("metadata", "team") or owner
    if team:
        check_label_name(team, "team" if team is not owner else "technical_owner", problems)
    check_labels(manifest.get("metadata", "labels"), problems)
    job_parts.check_resources(workflow.get("resources"), problems, mended=manifest.mended)
    job_parts.check_spark_conf(workflow.get("sparkConf"), problems, manifest.settings.allowed_spark_conf)
    job_parts.check_orchestration(workflow, problems)
    fields = dataset.fields["fields"].items
    check_description(dataset.get("description"), problems)
    _check_fields(fields, problems)
    check_distinct((field.fields["name"] for field in fields), "field", problems)
    partitioning = dataset.get("partitioning")
    partition = partitioning.items if partitioning else ()
    check_distinct(partition, "partition column", problems, "leave one of them out")
    names = tuple(field.fields["name"].text for field in fields)
    if not manifest.mended:
        queries.check_columns(partition, names, "partition column", problems)
    parameters = job_parts.plain(workflow.get("parameters"), {})
    known_parameters = None if manifest.mended else parameters
    check_templates(manifest.root, known_parameters, problems, manifest.sources)
    sql = manifest.read_named_file(workflow.fields["sql"], problems)
    if sql is not None:
        check_template(sql, known_parameters, problems, manifest.sources)
        queries.check_written(sql, manifest, parameters, problems)
        query = queries.read(dataset.fields["name"], sql, manifest, parameters)
        queries.check_syntax(query, manifest, problems)
        _check_tables(query, manifest, problems)
        if not manifest.mended:
            _check_result(query, fields, partition, manifest, problems)


def _check_name(name: Node, problems: Problems) -> None:
    check_identifier(name, "dataset", problems)
    if is_identifier(name.text) and (not is_dag_id(f"{name.text}_dag") or not re.search("[A-Za-z]", name.text)):
        text = f"`{name.text}` cannot name a DAG and its Kubernetes resources: it needs a letter, and at most 246 characters"
        problems.add("DCP136", text, name.position, "for example `daily_orders`")


def _check_fields(fields: tuple[Node, ...], problems: Problems) -> None:
    for field in fields:
        name, kind = field.fields["name"], field.fields["type"]
        check_identifier(name, "field", problems)
        check_description(field.get("description"), problems)
        try:
            iceberg_type(kind.text)
        except ValueError as error:
            hint = did_you_mean(kind.text, TYPE_NAMES) or f"the types are: {', '.join(TYPE_NAMES)}"
            problems.add("DCP152", str(error), kind.position, hint)
        if is_bare_decimal(kind.text):
            text = f"`decimal` without digits is decimal(38,18) for the field `{name.text}`"
            problems.add(
                "DCP153", text, kind.position, "write the digits that it needs, for example decimal(18,2)", severity="warning"
            )


def _check_tables(query: queries.Query, manifest: ResolvedManifest, problems: Problems) -> None:
    """Record DCP147 for a table without a database and DCP154 for what the job's views cannot give."""
    for table in query.tables:
        place = query.place(table.start, manifest)
        if table.dynamic:
            queries.check_dynamic(query, table, manifest, problems)
        elif not table.database:
            text = f"`{table.table}` has no database"
            problems.add("DCP147", text, place, f"write <database>.{table.table}, or define it in a WITH")
        elif not all(is_identifier(part) for part in (table.catalog or "c", table.database, table.table)):
            problems.add("DCP137", f"`{table.full_name}` is no name of an Iceberg table", place, "write database.table")


def _check_result(
    query: queries.Query, fields: tuple[Node, ...], partition: tuple[Node, ...], manifest: ResolvedManifest, problems: Problems
) -> None:
    """Record DCP151 where the columns of the result, as far as they are known, are not the fields."""
    if query.columns is None:
        return
    queries.check_distinct_columns(query, manifest, problems)
    given = {column.lower() for column in query.columns}
    declared = {field.fields["name"].text.lower() for field in fields}
    partition_names = {column.text.lower() for column in partition}
    for field in fields:
        name = field.fields["name"]
        if name.text.lower() not in given and not (name.text.lower() == "ds" and "ds" in partition_names):
            hint = hint_for(name.text, query.columns, "the result has")
            problems.add("DCP151", f"the field `{name.text}` is not in the result of the SQL", name.position, hint)
    for column, offset in zip(query.columns, query.reading.column_places if query.reading else (), strict=True):
        if column.lower() not in declared:
            near = did_you_mean(column, [field.fields["name"].text for field in fields])
            text = f"the result has a column `{column}` that is no field"
            problems.add(
                "DCP151", text, query.place(offset, manifest), near or f"add it to `fields`, or leave it out of {query.sql.file}"
            )
