"""Checking the templates of a manifest before anything runs: their syntax, what they use, and that every name will be defined.

The names and the rendering are :mod:`airflow_dcp_provider.model.templates`, the allow lists
:mod:`airflow_dcp_provider.model.template_tree`; both are the same for lint and for a run. Nothing is rendered here.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes

from airflow_dcp_provider.model.template_filters import FILTER_NAMES, NOT_DETERMINISTIC, TEST_NAMES
from airflow_dcp_provider.model.template_tree import MAX_FAULTS, TreeFault, parse_template, path_of, walk
from airflow_dcp_provider.model.templates import ALLOWED_MACROS, ALLOWED_NAMES
from dag_factory.manifest.node import Node
from dag_factory.manifest.places import place_in
from dag_factory.manifest.problems import Problems, did_you_mean, hint_for
from dag_factory.manifest.sql_templates import template_faults

_OPENING = re.compile(r"\{[{%#]")
_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
#: What a run's trigger form offers under ``params``.
_PARAMS = ("environment", "parameters")
#: What Jinja itself defines inside of `{% for %}`, and its one function.
_INSIDE_LOOPS = {"loop"}
_FUNCTIONS = {"range"}
_NOT_OFFERED = frozenset({"conn", "var", "ti", "task_instance", "dag", "task", "dag_run", "conf"})


@dataclass(frozen=True)
class _Fault:
    code: str
    message: str
    hint: str
    offset: int


def check_templates(
    manifest: Node,
    parameters: Mapping[str, Any] | Collection[str] | None,
    problems: Problems,
    sources: Mapping[str, str],
) -> None:
    """Record what is wrong with the templates in every text below ``manifest``.

    :param parameters: the parameters that the manifest gives a value; None when they are not known.
    :param problems: gets DCP155 for what templates may not use, DCP156 above a limit, DCP157 for what differs from run to run,
        DCP165 for syntax, DCP166 for a name, filter or parameter that no run defines.
    :param sources: the text of each file, for exact places.
    """
    for text in manifest.texts():
        if "{" in text.text:
            check_template(text, parameters, problems, sources)


def check_template(
    text: Node,
    parameters: Mapping[str, Any] | Collection[str] | None,
    problems: Problems,
    sources: Mapping[str, str],
) -> None:
    """Record what is wrong with the templates of one text; see :func:`check_templates`."""
    faults = _faults(text.text, None if parameters is None else frozenset(parameters))
    for fault in faults:
        problems.add(fault.code, fault.message, place_in(text, fault.offset, sources), fault.hint)
    if not faults and _OPENING.search(text.text):
        samples = parameters if isinstance(parameters, Mapping) else {}
        for computed, offset in template_faults(text.text, samples):
            problems.add(computed.code, computed.message, place_in(text, offset, sources), computed.hint)


@dataclass(frozen=True)
class _Draft:
    """A fault whose place and hint are looked for only when it is shown."""

    code: str
    message: str
    hint: Callable[[], str]
    pattern: str


@functools.lru_cache(maxsize=4096)
def _faults(text: str, parameters: frozenset[str] | None) -> tuple[_Fault, ...]:
    if not _OPENING.search(text):
        return ()
    parsed = parse_template(text)
    faults = {(fault.code, fault.message): _located(text, fault) for fault in parsed.faults}
    if parsed.syntax is not None:
        reported = {fault.name for fault in parsed.faults if fault.name}
        drafts = itertools.chain(
            _unknown_names(parsed.syntax, reported),
            _unknown_attributes(parsed.syntax, parameters),
            _unknown_filters(parsed.syntax, reported),
        )
        for draft in drafts:
            if len(faults) >= MAX_FAULTS:
                break
            if (draft.code, draft.message) not in faults:
                fault = _Fault(draft.code, draft.message, draft.hint(), _find(text, draft.pattern))
                faults[draft.code, draft.message] = fault
    return tuple(faults.values())


def _located(text: str, fault: TreeFault) -> _Fault:
    if fault.pattern:
        start = sum(len(line) + 1 for line in text.split("\n")[: fault.line - 1])
        offset = _find(text, fault.pattern, start) or _find(text, fault.pattern) or _line_offset(text, fault.line)
    else:
        offset = _line_offset(text, fault.line)
    return _Fault(fault.code, fault.message, fault.hint, offset)


def _line_offset(text: str, line: int) -> int:
    """Return where the template begins that stands in, or last before the end of, ``line`` (from 1)."""
    start = sum(len(each) + 1 for each in text.split("\n")[: line - 1])
    end = text.find("\n", start)
    openings = [match.start() for match in _OPENING.finditer(text, 0, end if end >= 0 else len(text))]
    inside = [opening for opening in openings if opening >= start]
    return (inside or openings or [0])[-1 if not inside else 0]


def _unknown_names(tree: nodes.Template, reported: Collection[str]) -> Iterator[_Draft]:
    names = [node for node, _, _ in walk(tree) if isinstance(node, nodes.Name)]
    loops = any(isinstance(node, nodes.For) for node, _, _ in walk(tree))
    known = {each.name for each in names if each.ctx != "load"} | ALLOWED_NAMES | _FUNCTIONS | (_INSIDE_LOOPS if loops else set())
    for name in sorted({each.name for each in names} - known - set(reported)):
        yield _Draft(
            "DCP166",
            f"`{name}` is not defined in templates",
            functools.partial(_hint_for_name, name),
            rf"(?<![.|\w'\"]){name}\b",
        )


def _hint_for_name(name: str) -> str:
    if name in _NOT_OFFERED:
        return "connections, variables and tasks are not for manifests: a job must be the same whoever renders it"
    return hint_for(name, sorted(ALLOWED_NAMES), "templates may use")


def _unknown_attributes(tree: nodes.Template, parameters: frozenset[str] | None) -> Iterator[_Draft]:
    optional = {
        id(node.node)
        for node, _, _ in walk(tree)
        if (isinstance(node, nodes.Filter) and node.name in {"default", "d"})
        or (isinstance(node, nodes.Test) and node.name in {"defined", "undefined"})
    }
    called = {id(node.node) for node, _, _ in walk(tree) if isinstance(node, nodes.Call)}
    for node, _, _ in walk(tree):
        path = path_of(node) if isinstance(node, nodes.Getattr | nodes.Getitem) else ()
        if len(path) < 2 or path[-1].startswith("_"):
            continue
        place = rf"{re.escape(path[-2])}\W+{re.escape(path[-1])}\b"
        if path[0] == "macros" and len(path) == 2 and path[1] not in ALLOWED_MACROS:
            hint = functools.partial(hint_for, path[1], sorted(ALLOWED_MACROS), "macros has")
            yield _Draft("DCP166", f"`macros.{path[1]}` is not defined in templates", hint, place)
        if path[0] == "params" and len(path) == 2 and path[1] not in _PARAMS and id(node) not in called:
            hint = functools.partial("write `params.parameters.{}`".format, path[1])
            yield _Draft("DCP166", f"`params.{path[1]}` is not defined", hint, place)
        if parameters is None or path[:2] != ("params", "parameters") or len(path) != 3:
            continue
        if path[2] not in parameters and id(node) not in called and id(node) not in optional:
            hint = functools.partial(_hint_for_parameter, path[2], parameters)
            yield _Draft("DCP166", f"the parameter `{path[2]}` has no value in scheduled runs", hint, place)


def _hint_for_parameter(name: str, parameters: Collection[str]) -> str:
    return did_you_mean(name, parameters) or f"give `{name}` a value in the manifest's `parameters`"


def _unknown_filters(tree: nodes.Template, reported: Collection[str]) -> Iterator[_Draft]:
    known = {*reported, *NOT_DETERMINISTIC}
    for node, _, _ in walk(tree):
        if isinstance(node, nodes.Filter) and node.name is not None and node.name not in FILTER_NAMES | known:
            hint = functools.partial(hint_for, node.name, sorted(FILTER_NAMES), "there are")
            yield _Draft("DCP166", f"there is no filter `{node.name}`", hint, rf"\|\s*{node.name}\b")
        if isinstance(node, nodes.Test) and node.name not in TEST_NAMES | known:
            hint = functools.partial(hint_for, node.name, sorted(TEST_NAMES), "there are")
            yield _Draft("DCP166", f"there is no test `{node.name}`", hint, rf"\bis\s+(not\s+)?{node.name}\b")


def _find(text: str, pattern: str, start: int = 0) -> int:
    """Return the first match inside a template; plain text around templates may hold the same word."""
    for template in _TEMPLATE.finditer(text, start):
        if match := re.search(pattern, template.group()):
            return template.start() + match.start()
    return 0
