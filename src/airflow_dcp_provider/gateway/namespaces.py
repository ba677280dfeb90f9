"""Kubernetes namespaces from an environment's template. A namespace is the environment's to give, never a manifest's.

Two different users or teams never share a namespace because their names look alike to Kubernetes: a name that is no part of a
namespace as it stands (capitals, ``_``, too long) is completed by a hash of itself, and so is one that only looks like such a name.
"""

from __future__ import annotations

import itertools
import re
import string

from airflow_dcp_provider.model.cluster import Cluster
from airflow_dcp_provider.model.environment import PLAYGROUND_PREFIX, Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.names import is_namespace, short_hash

#: What a template may name.
PLACEHOLDERS = ("user", "team", "environment")

#: The limit of a namespace's name, and how much of it a template must leave for each placeholder.
_LONGEST, _ROOM = 63, 20

_HASH_LENGTH = 12
_CLEAN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_HASHED = re.compile(rf"(.*-)?[0-9a-f]{{{_HASH_LENGTH}}}")


def template_fault(template: str) -> str:
    """Return what is wrong with a namespace template, completing "the template ..."; empty when nothing is."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        return f"cannot be read: {error}"
    names = [name for _, name, _, _ in parts if name is not None]
    if unknown := [name for name in names if name not in PLACEHOLDERS]:
        return f"names `{{{unknown[0]}}}`; it may name {', '.join(f'{{{name}}}' for name in PLACEHOLDERS)}"
    if any(spec or conversion for _, _, spec, conversion in parts):
        return "has more than a name between braces"
    literal = sum(len(text) for text, _, _, _ in parts)
    if literal + _ROOM * len(names) > _LONGEST:
        return f"leaves less than {_ROOM} of {_LONGEST} characters for each name in it"
    if not is_namespace(template.format(**dict.fromkeys(PLACEHOLDERS, "x"))):
        return "makes no Kubernetes namespace (lower case letters, digits and `-`)"
    return _confusion(parts)


def _confusion(parts: list[tuple[str, str | None, str | None, str | None]]) -> str:
    """Return which names of a template could be taken for others, as :func:`template_fault` does: a + bc and ab + c."""
    for (_, one, _, _), (between, other, _, _) in itertools.pairwise(parts):
        if one is not None and other is not None and "-" not in between:
            return f"has no `-` between `{{{one}}}` and `{{{other}}}`, so that different ones could share a namespace"
    return ""


def user_of(environment: Environment, triggered_by: str) -> str:
    """Return who ``{user}`` is: a playground's own user, else who triggered the run, else the environment's configured user.

    :param triggered_by: the user who triggered the run; empty for a run that nobody triggered.
    """
    if environment.name.startswith(PLAYGROUND_PREFIX):
        return environment.name.removeprefix(PLAYGROUND_PREFIX)
    return triggered_by or environment.user


def namespace_for(environment: Environment, cluster: Cluster, team: str, triggered_by: str = "") -> str:
    """Return the namespace of a job: the cluster's own, else the environment's template filled in.

    :param team: the manifest's team.
    :param triggered_by: the user who triggered the run, or empty.
    :raises DcpEnvironmentError: DCP418 for a team that the environment does not serve, DCP481 when there is no template, it makes
        no sense, or a name that it needs is missing.
    """
    check_team(environment, team)
    if cluster.namespace:
        return cluster.namespace
    template = environment.namespace_template
    if not template or (fault := template_fault(template)):
        what = f"the namespace template `{template}` {fault}" if template else "there is no namespace template"
        raise _unusable(environment, what, f"correct the field `namespace_template` of the connection dcp_{environment.name}")
    values = {"user": user_of(environment, triggered_by), "team": team, "environment": environment.name}
    parts = list(string.Formatter().parse(template))
    names = [name for _, name, _, _ in parts if name is not None]
    for name in names:
        if not values[name]:
            hint = {
                "user": f"trigger the run as a user, or set the field `user` of the connection dcp_{environment.name}",
                "team": "set metadata.team in the manifest",
            }
            raise _unusable(environment, f"the namespace template `{template}` needs a {name}, and there is none", hint[name])
    room = (_LONGEST - sum(len(text) for text, _, _, _ in parts)) // max(len(names), 1)
    # Beside each other, `a-b` + `c` and `a` + `b-c` would make one namespace.
    alone = len({name for name in names if name != "environment"}) < 2
    segments = {
        name: _environment_segment(values[name], room) if name == "environment" else _segment(values[name], room, hyphens=alone)
        for name in names
    }
    return template.format(**segments)


def check_team(environment: Environment, team: str) -> None:
    """Refuse a team that the environment does not serve.

    :raises DcpEnvironmentError: DCP418.
    """
    if environment.teams and team not in environment.teams:
        raise DcpEnvironmentError(
            f"environment {environment.name} does not serve the team `{team}`",
            code="DCP418",
            hint=f"it serves: {', '.join(environment.teams)}; its owner can add the team to the connection dcp_{environment.name}",
        )


def _segment(value: str, room: int, *, hyphens: bool = True) -> str:
    """Return ``value`` as a part of a namespace of at most ``room`` characters; different values give different parts.

    :param hyphens: whether a value with ``-`` in it may stand as it is.
    """
    exact = _CLEAN.fullmatch(value) and len(value) <= room and not _HASHED.fullmatch(value) and (hyphens or "-" not in value)
    if exact:
        return value
    hashed = short_hash(value, _HASH_LENGTH)
    cleaned = re.sub(r"[^a-z0-9]+", "-", value.lower())[: room - _HASH_LENGTH - 1].strip("-")
    return f"{cleaned}-{hashed}" if cleaned else hashed


def _environment_segment(name: str, room: int) -> str:
    # Names of environments have no `-`, so that this stays one to one without a hash.
    plain = name.replace("_", "-")
    return plain if _CLEAN.fullmatch(plain) and len(plain) <= room else _segment(name, room)


def _unusable(environment: Environment, what: str, hint: str) -> DcpEnvironmentError:
    return DcpEnvironmentError(f"environment {environment.name} has no namespace for this job: {what}", code="DCP481", hint=hint)
