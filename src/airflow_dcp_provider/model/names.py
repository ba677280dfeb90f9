"""Names that become identifiers elsewhere: Kubernetes resources and labels, SQL identifiers, DAG ids.

Everything here is a pure check or derivation; a name from a manifest passes one of these before it is used anywhere.
"""

from __future__ import annotations

import hashlib
import re

#: Spark appends ``-driver`` and ``-exec-<n>`` and the operator a service suffix; 63 is the limit of a DNS label.
RESOURCE_NAME_LIMIT = 46

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_DNS_1123 = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_DAG_ID = re.compile(r"[A-Za-z0-9_.-]+")
_MAIL_USER = re.compile(r"[A-Za-z0-9_+~=-]+([.'][A-Za-z0-9_+~=-]+)*")
_MAIL_DOMAIN = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?)*")

#: Names that only this project, Spark, the operators or Kubernetes may give, wherever they end up: a label, an annotation, a tag,
#: the summary of a snapshot. Whoever could write them could forge a proof, or make a pod look like another's.
_OWN_MARK = re.compile(
    r"(dcp|spark-runner)[./:].*"
    r"|spark-(role|app-.*|exec-.*|version|driver-.*)"
    r"|([^/]+\.)?(kubernetes\.io|k8s\.io|spark\.apache\.org|spark\.operator)(/.*)?",
    re.IGNORECASE | re.DOTALL,
)

# Characters that end a line or steer a terminal, in any of Unicode's planes that matter to logs.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def is_identifier(name: str) -> bool:
    """Whether ``name`` can be a database, table, column or view name without quoting (ASCII letters, digits, ``_``)."""
    return bool(_IDENTIFIER.fullmatch(name)) and len(name) <= 255


def is_dns_label(name: str) -> bool:
    """Whether ``name`` is a DNS-1035 label of at most 63 characters."""
    return bool(_DNS_1035.fullmatch(name)) and len(name) <= 63


def is_namespace(name: str) -> bool:
    """Whether ``name`` can be a Kubernetes namespace (a DNS-1123 label of at most 63 characters)."""
    return bool(_DNS_1123.fullmatch(name)) and len(name) <= 63


def is_dag_id(name: str) -> bool:
    """Whether Airflow accepts ``name`` as a DAG id (at most 250 characters)."""
    return bool(_DAG_ID.fullmatch(name)) and len(name) <= 250


def is_own_mark(key: str) -> bool:
    """Whether ``key`` is a label, an annotation or a property that no manifest and no connection may set."""
    return bool(_OWN_MARK.fullmatch(key.strip()))


def is_plain_text(text: str) -> bool:
    """Whether ``text`` is one line without control characters, and without ``${``, which Spark and Hadoop would replace."""
    return "${" not in text and not _CONTROL.search(text)


def is_email_address(text: str) -> bool:
    """Whether ``text`` is one plain address, ``user@domain`` in ASCII: no display name, quotes, braces, spaces or line breaks."""
    user, at, domain = text.rpartition("@")
    sized = bool(at) and len(user) <= 64 and len(domain) <= 253
    return sized and bool(_MAIL_USER.fullmatch(user)) and bool(_MAIL_DOMAIN.fullmatch(domain))


def short_hash(text: str, length: int = 8) -> str:
    """Return the first ``length`` hex digits of the SHA-256 of ``text``."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]


def resource_name(job_name: str, execution_id: str, attempt: int) -> str:
    """Return the name of an attempt's resource: ``<job>-<execution>-<attempt>``, a DNS-1035 label.

    Two attempts of one execution differ by the attempt number, two executions by 12 hex digits of their id; the job's name is cut
    to leave room for Spark's own suffixes (:data:`RESOURCE_NAME_LIMIT`).

    :param execution_id: a UUID as text.
    :param attempt: counted from 1.
    """
    tail = f"-{execution_id.replace('-', '')[:12]}-{attempt}"
    head = re.sub(r"[^a-z0-9]+", "-", job_name.lower()).strip("-")
    head = re.sub(r"^[^a-z]+", "", head) or "job"
    return head[: RESOURCE_NAME_LIMIT - len(tail)].rstrip("-") + tail


def label_value(text: str) -> str:
    """Return ``text`` as a Kubernetes label value: unchanged where it is one, else cut and completed by a hash to at most 63."""
    if _LABEL_VALUE.fullmatch(text) and len(text) <= 63:
        return text
    cleaned = re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[:54].strip("-_.")
    return f"{cleaned}-{short_hash(text)}" if cleaned else short_hash(text)
