"""Telling manifests from foreign YAML, also when a file cannot be read as YAML."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from typing import Any

from dag_factory.manifest.node import Node

_TOP_FIELD = re.compile(r"""^(["']?)(?P<name>[A-Za-z_$][\w.$-]*)\1[ \t]*:(?:[ \t]+(?P<value>[^\n]*))?$""", re.MULTILINE)


#: A manifest shows what it is in so many bytes.
HEAD_BYTES = 65_536


def rough_text(beginning: bytes) -> str:
    """Return the first bytes of a file as text, also where they are not UTF-8, for :func:`rough_fields`."""
    encoding = "utf-16" if beginning[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE} else "utf-8-sig"
    return beginning.decode(encoding, errors="replace").replace("\r\n", "\n").replace("\r", "\n")


def rough_fields(text: str) -> dict[str, str]:
    """Return the fields at the top of a YAML text as far as they can be seen line by line, with the text of plain values.

    Empty for a text in another style, for example JSON, of which nothing is known then.
    """
    return {match["name"]: _unquoted(match["value"] or "") for match in _TOP_FIELD.finditer(text)}


def _unquoted(value: str) -> str:
    return re.sub(r"(^|\s)#.*$", "", value).strip().strip("\"'")


def top_fields(node: Node) -> dict[str, Any]:
    """Return the fields at the top of a value, their texts as they are and None for everything else."""
    return {name: value.text or None for name, value in node.fields.items()}


def unknown_kind(fields: Mapping[str, Any], hosts: tuple[str, ...]) -> str:
    """Return the ``kind`` of what claims this project's API group and that no plugin knows; empty for foreign YAML.

    :param hosts: the hosts of the API group that the deployment accepts; without any, hosts that begin with ``dcp.``.
    """
    host = str(fields.get("apiVersion") or "").partition("/")[0]
    ours = host in hosts if hosts else host.startswith("dcp.")
    return str(fields.get("kind") or "") if ours else ""
