"""The endpoints of the Iceberg REST specification that Spark and pyiceberg need, over :class:`SqliteCatalog`.

Each endpoint is a small function ``(service, request) -> answer``; :data:`ROUTES` says which path it serves. Nothing here knows
sockets. The catalog holds tables only, no views, and namespaces of one level.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyiceberg.catalog.rest import CreateTableRequest, RegisterTableRequest
from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.table import CommitTableRequest, StagedTable, Table
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.table.update import SetLocationUpdate, SetPropertiesUpdate

from airflow_dcp_provider.embedded_catalog.names import is_inside, is_plain_name, location_of
from airflow_dcp_provider.embedded_catalog.problems import RestError, bad_request
from airflow_dcp_provider.embedded_catalog.sqlite import SqliteCatalog

#: Between the levels of a namespace in a path, after decoding.
_LEVEL = "\x1f"

#: Table properties that send files elsewhere than below the table's own location.
_LOCATION_PROPERTIES = ("write.data.path", "write.metadata.path", "write.object-storage.path", "write.folder-storage.path")


@dataclass(frozen=True)
class Request:
    """One decoded request: ``path`` holds the parts that the route names, ``query`` and ``body`` are as sent."""

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What is sent back: ``text`` is JSON, or empty for an answer without a body."""

    status: int = 200
    body: Mapping[str, Any] | None = None
    text: str = ""


class CatalogService:
    """What the endpoints work on: the catalog, its warehouse folder, and one lock for changes.

    Changes are safe without the lock, because the catalog updates a row only if it still is what was read; the lock only spares
    the clients of one server needless conflicts.
    """

    def __init__(self, catalog: SqliteCatalog, warehouse: Path) -> None:
        self.catalog = catalog
        self.warehouse = warehouse
        self.changing = threading.Lock()

    def checked_location(self, location: str | None) -> str | None:
        """Return ``location`` without its last slash, or None.

        :raises RestError: when it is not inside the warehouse.
        """
        if not location:
            return None
        if not is_inside(location, self.warehouse):
            raise bad_request(f"location `{location}` is not inside the warehouse {location_of(self.warehouse)}")
        return location.rstrip("/")

    def check_properties(self, properties: Mapping[str, Any]) -> None:
        """Raise a problem when a table property leads out of the warehouse."""
        for key in _LOCATION_PROPERTIES:
            self.checked_location(properties.get(key))


Endpoint = Callable[[CatalogService, Request], Answer]


def _namespace(text: str) -> tuple[str]:
    if not is_plain_name(text):
        kind = "namespaces of several levels are not offered" if _LEVEL in text or "." in text else "letters, digits, _ and - only"
        raise bad_request(f"`{text.replace(_LEVEL, '.')}` cannot name a namespace: {kind}")
    return (text,)


def _identifier(namespace: str, table: str) -> tuple[str, str]:
    if not is_plain_name(table):
        raise bad_request(f"`{table}` cannot name a table: letters, digits, _ and - only")
    return (*_namespace(namespace), table)


def _known_namespace(request: Request) -> tuple[str]:
    """Return the namespace of a request that looks something up: one that no namespace can have is simply not there."""
    name = request.path["namespace"]
    if not is_plain_name(name):
        raise NoSuchNamespaceError(f"Namespace does not exist: {name.replace(_LEVEL, '.')}")
    return (name,)


def _known_table(request: Request) -> tuple[str, str]:
    """Return the table of a request that looks one up.

    Iceberg's clients ask for `db.t` as a namespace and `snapshots` in it, and expect that there is no such table, before they take
    `db.t.snapshots` for a metadata table.
    """
    namespace, table = request.path["namespace"], request.path["table"]
    if not (is_plain_name(namespace) and is_plain_name(table)):
        raise NoSuchTableError(f"Table does not exist: {namespace.replace(_LEVEL, '.')}.{table}")
    return (namespace, table)


def _from_body(body: Mapping[str, Any], key: str) -> tuple[str, str]:
    part = body[key]
    if not isinstance(part, dict) or not isinstance(part["name"], str):
        raise bad_request(f"`{key}` is not a table identifier")
    return _identifier(_levels(part), part["name"])


def _levels(body: Mapping[str, Any]) -> str:
    return _LEVEL.join(_texts(body["namespace"], "namespace"))


def _texts(value: Any, what: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise bad_request(f"`{what}` is not a list of texts")
    return value


def _properties(value: Any, what: str) -> dict[str, str]:
    """Return a map of texts; numbers, true and false become texts, as clients send them."""
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, (str, int, float)) for item in value.values()):
        raise bad_request(f"`{what}` is not a map of texts")
    return {key: str(item) for key, item in value.items()}


def _table_answer(table: Table) -> Answer:
    metadata = table.metadata.model_dump_json()
    if isinstance(table, StagedTable):
        return Answer(text=f'{{"metadata": {metadata}, "config": {{}}}}')
    location = json.dumps(table.metadata_location)
    return Answer(text=f'{{"metadata-location": {location}, "metadata": {metadata}, "config": {{}}}}')


def list_namespaces(service: CatalogService, request: Request) -> Answer:
    """List the namespaces; one level only, so a namespace has no children."""
    if parent := request.query.get("parent"):
        _require_namespace(service, _known_namespace(Request({"namespace": parent})))
        return Answer(body={"namespaces": []})
    return Answer(body={"namespaces": sorted(service.catalog.list_namespaces())})


def create_namespace(service: CatalogService, request: Request) -> Answer:
    """Create a namespace with its properties."""
    namespace = _namespace(_levels(request.body))
    properties = _properties(request.body.get("properties"), "properties")
    service.checked_location(properties.get("location"))
    with service.changing:
        service.catalog.create_namespace(namespace, properties)
    return Answer(body={"namespace": list(namespace), "properties": properties})


def load_namespace(service: CatalogService, request: Request) -> Answer:
    """Return a namespace's properties."""
    namespace = _known_namespace(request)
    return Answer(body={"namespace": list(namespace), "properties": service.catalog.load_namespace_properties(namespace)})


def namespace_exists(service: CatalogService, request: Request) -> Answer:
    """Say whether a namespace exists."""
    _require_namespace(service, _known_namespace(request))
    return Answer(204)


def drop_namespace(service: CatalogService, request: Request) -> Answer:
    """Drop an empty namespace."""
    with service.changing:
        service.catalog.drop_namespace(_known_namespace(request))
    return Answer(204)


def update_namespace(service: CatalogService, request: Request) -> Answer:
    """Set and remove properties of a namespace."""
    namespace = _known_namespace(request)
    updates = _properties(request.body.get("updates"), "updates")
    removals = set(_texts(request.body.get("removals") or [], "removals"))
    if removals & set(updates):
        raise RestError(422, "UnprocessableEntityException", "a property is both set and removed")
    service.checked_location(updates.get("location"))
    with service.changing:
        summary = service.catalog.update_namespace_properties(namespace, removals, updates)
    return Answer(body={"updated": summary.updated, "removed": summary.removed, "missing": summary.missing})


def list_tables(service: CatalogService, request: Request) -> Answer:
    """List the tables of a namespace."""
    tables = service.catalog.list_tables(_known_namespace(request))
    return Answer(body={"identifiers": [{"namespace": list(table[:-1]), "name": table[-1]} for table in sorted(tables)]})


def list_views(service: CatalogService, request: Request) -> Answer:
    """List the views of a namespace: there are none."""
    _require_namespace(service, _known_namespace(request))
    return Answer(body={"identifiers": []})


def create_table(service: CatalogService, request: Request) -> Answer:
    """Create a table, or only stage it (``stage-create``) for a later commit."""
    optional = {"location": None, "partition-spec": None, "write-order": None}
    wanted = CreateTableRequest.model_validate({**optional, **request.body})
    identifier = _identifier(request.path["namespace"], wanted.name)
    service.check_properties(wanted.properties)
    values: dict[str, Any] = {
        "schema": wanted.table_schema,
        "location": service.checked_location(wanted.location),
        "partition_spec": wanted.partition_spec or UNPARTITIONED_PARTITION_SPEC,
        "sort_order": wanted.write_order or UNSORTED_SORT_ORDER,
        "properties": wanted.properties,
    }
    _require_namespace(service, identifier[:1])
    if wanted.stage_create:
        if service.catalog.table_exists(identifier):
            raise RestError(409, "AlreadyExistsException", f"Table {'.'.join(identifier)} already exists")
        return _table_answer(service.catalog._create_staged_table(identifier, **values))
    with service.changing:
        return _table_answer(service.catalog.create_table(identifier, **values))


def load_table(service: CatalogService, request: Request) -> Answer:
    """Return a table's metadata."""
    return _table_answer(service.catalog.load_table(_known_table(request)))


def table_exists(service: CatalogService, request: Request) -> Answer:
    """Say whether a table exists."""
    service.catalog.load_table(_known_table(request))
    return Answer(204)


def commit_table(service: CatalogService, request: Request) -> Answer:
    """Change a table if its state still meets the requirements; a staged table is created by its first commit."""
    identifier = _known_table(request)
    named = {"namespace": list(identifier[:1]), "name": identifier[1]}
    wanted = CommitTableRequest.model_validate({**request.body, "identifier": named})
    for update in wanted.updates:
        if isinstance(update, SetLocationUpdate):
            service.checked_location(update.location)
        elif isinstance(update, SetPropertiesUpdate):
            service.check_properties(update.updates)
    creates = any(requirement.type == "assert-create" for requirement in wanted.requirements)
    with service.changing:
        table = _unborn(service, identifier) if creates else service.catalog.load_table(identifier)
        done = service.catalog.commit_table(table, wanted.requirements, wanted.updates)
    return Answer(text=done.model_dump_json())


def drop_table(service: CatalogService, request: Request) -> Answer:
    """Drop a table, with its files when ``purgeRequested`` is true."""
    identifier = _known_table(request)
    with service.changing:
        if request.query.get("purgeRequested", "").lower() == "true":
            service.catalog.purge_table(identifier)
        else:
            service.catalog.drop_table(identifier)
    return Answer(204)


def rename_table(service: CatalogService, request: Request) -> Answer:
    """Rename a table; its files stay where they are."""
    source, target = _from_body(request.body, "source"), _from_body(request.body, "destination")
    with service.changing:
        service.catalog.rename_table(source, target)
    return Answer(204)


def register_table(service: CatalogService, request: Request) -> Answer:
    """Make a table known by its metadata file."""
    wanted = RegisterTableRequest.model_validate({"overwrite": False, **request.body})
    service.checked_location(wanted.metadata_location)
    identifier = _identifier(request.path["namespace"], wanted.name)
    try:
        with service.changing:
            return _table_answer(service.catalog.register_table(identifier, wanted.metadata_location, overwrite=wanted.overwrite))
    except OSError as error:
        raise bad_request(f"`{wanted.metadata_location}` cannot be read as a table's metadata: {error.strerror}") from error


def report_metrics(service: CatalogService, request: Request) -> Answer:  # noqa: ARG001 -- reports are accepted and not kept
    """Accept a scan or commit report."""
    return Answer(204)


def _require_namespace(service: CatalogService, namespace: tuple[str]) -> None:
    if not service.catalog.namespace_exists(namespace):
        raise NoSuchNamespaceError(f"Namespace does not exist: {namespace[0]}")


def _unborn(service: CatalogService, identifier: tuple[str, str]) -> Table:
    """Return a table that does not exist yet, as the catalog wants it for a creating commit."""
    _require_namespace(service, identifier[:1])
    empty = service.catalog._empty_table_metadata()
    return Table(identifier, empty, "", service.catalog._load_file_io(), service.catalog)


_NS = "/v1/namespaces/{namespace}"

#: Method, path and endpoint, as the specification names them.
ROUTES: tuple[tuple[str, str, Endpoint], ...] = (
    ("GET", "/v1/namespaces", list_namespaces),
    ("POST", "/v1/namespaces", create_namespace),
    ("GET", _NS, load_namespace),
    ("HEAD", _NS, namespace_exists),
    ("DELETE", _NS, drop_namespace),
    ("POST", f"{_NS}/properties", update_namespace),
    ("GET", f"{_NS}/tables", list_tables),
    ("POST", f"{_NS}/tables", create_table),
    ("POST", f"{_NS}/register", register_table),
    ("GET", f"{_NS}/tables/{{table}}", load_table),
    ("HEAD", f"{_NS}/tables/{{table}}", table_exists),
    ("POST", f"{_NS}/tables/{{table}}", commit_table),
    ("DELETE", f"{_NS}/tables/{{table}}", drop_table),
    ("POST", f"{_NS}/tables/{{table}}/metrics", report_metrics),
    ("GET", f"{_NS}/views", list_views),
    ("POST", "/v1/tables/rename", rename_table),
)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))


_COMPILED = tuple((method, _pattern(path), endpoint) for method, path, endpoint in ROUTES)


def find_route(method: str, path: str) -> tuple[Endpoint, dict[str, str]]:
    """Return the endpoint for a request and the (still percent-encoded) parts of its path.

    :raises RestError: when no route has this method and path.
    """
    for known, pattern, endpoint in _COMPILED:
        if known == method and (match := pattern.fullmatch(path)):
            return endpoint, match.groupdict()
    raise RestError(404, "UnsupportedOperationException", f"{method} {path} is not offered by the embedded catalog")
