"""Checking the templates of a manifest before anything runs: their syntax, and that every name they use will be defined.

The names themselves and the rendering are :mod:`airflow_dcp_provider.model.templates`, which lint and the operators share.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import jinja2
from jinja2 import nodes

from airflow_dcp_provider.model.templates import ALLOWED_MACROS, ALLOWED_NAMES, template_environment
from dag_factory.manifest.node import Node
from dag_factory.manifest.places import place_in
from dag_factory.manifest.problems import Problems, did_you_mean, hint_for

_OPENING = re.compile(r"\{[{%#]")
#: What a run's trigger form offers under ``params``.
_PARAMS = ("environment", "parameters")
#: What Jinja itself defines inside of `{% for %}`.
_INSIDE_LOOPS = {"loop"}
_NOT_OFFERED = frozenset({"conn", "var", "ti", "task_instance", "dag", "task", "dag_run", "conf"})


@dataclass(frozen=True)
class _Fault:
    code: str
    message: str
    hint: str
    offset: int


def check_templates(manifest: Node, parameters: Collection[str] | None, problems: Problems, sources: Mapping[str, str]) -> None:
    """Record what is wrong with the templates in every text below ``manifest``.

    :param parameters: names of the parameters that the manifest gives a value; None when they are not known.
    :param problems: gets DCP165 for syntax, DCP166 for a name, filter or parameter that no run defines.
    :param sources: the text of each file, for exact places.
    """
    for text in manifest.texts():
        if "{" in text.text:
            check_template(text, parameters, problems, sources)


def check_template(text: Node, parameters: Collection[str] | None, problems: Problems, sources: Mapping[str, str]) -> None:
    """Record what is wrong with the templates of one text; see :func:`check_templates`."""
    for fault in _faults(text.text, None if parameters is None else frozenset(parameters)):
        problems.add(fault.code, fault.message, place_in(text, fault.offset, sources), fault.hint)


@functools.cache
def _environment() -> jinja2.Environment:
    return template_environment()


@functools.lru_cache(maxsize=4096)
def _faults(text: str, parameters: frozenset[str] | None) -> tuple[_Fault, ...]:
    if not _OPENING.search(text):
        return ()
    environment = _environment()
    try:
        tree = environment.parse(text)
    except jinja2.TemplateSyntaxError as error:
        message = f"the template has a mistake: {error.message}"
        return (_Fault("DCP165", message, "check its braces, quotes and words", _line_offset(text, error.lineno)),)
    return (
        *_unknown_names(text, tree),
        *_unknown_attributes(text, tree, parameters),
        *_unknown_filters(text, tree, environment),
    )


def _line_offset(text: str, line: int) -> int:
    """Return where the template begins that stands in, or last before the end of, ``line`` (from 1)."""
    start = sum(len(each) + 1 for each in text.split("\n")[: line - 1])
    end = text.find("\n", start)
    openings = [match.start() for match in _OPENING.finditer(text, 0, end if end >= 0 else len(text))]
    inside = [opening for opening in openings if opening >= start]
    return (inside or openings or [0])[-1 if not inside else 0]


def _unknown_names(text: str, tree: nodes.Template) -> Iterator[_Fault]:
    # Not jinja2.meta: it refuses a template with an unknown filter, and every fault is to be found at once.
    given = {each.name for each in tree.find_all(nodes.Name) if each.ctx != "load"}
    used = {each.name for each in tree.find_all(nodes.Name)} - given - ALLOWED_NAMES - set(_environment().globals)
    for name in sorted(used - (_INSIDE_LOOPS if tree.find(nodes.For) else set())):
        if name in _NOT_OFFERED:
            hint = "connections, variables and tasks are not for manifests: a job must be the same whoever renders it"
        else:
            hint = hint_for(name, sorted(ALLOWED_NAMES), "templates may use")
        yield _Fault("DCP166", f"`{name}` is not defined in templates", hint, _find(text, rf"(?<![.|\w'\"]){name}\b"))


def _unknown_attributes(text: str, tree: nodes.Template, parameters: frozenset[str] | None) -> Iterator[_Fault]:
    defaulted = {id(each.node) for each in tree.find_all(nodes.Filter) if each.name in {"default", "d"}}
    for attribute in tree.find_all(nodes.Getattr):
        owner, name = attribute.node, attribute.attr
        if isinstance(owner, nodes.Name) and owner.name == "macros" and name not in ALLOWED_MACROS:
            hint = hint_for(name, sorted(ALLOWED_MACROS), "macros has")
            yield _Fault("DCP166", f"`macros.{name}` is not defined in templates", hint, _find(text, rf"macros\s*\.\s*{name}\b"))
        if isinstance(owner, nodes.Name) and owner.name == "params" and name not in _PARAMS:
            place = _find(text, rf"params\s*\.\s*{name}\b")
            yield _Fault("DCP166", f"`params.{name}` is not defined", f"write `params.parameters.{name}`", place)
        if parameters is None or not _is_parameters(owner):
            continue
        if name not in parameters and name not in dir(dict) and id(attribute) not in defaulted:
            place = _find(text, rf"parameters\s*\.\s*{name}\b")
            hint = did_you_mean(name, parameters) or f"give `{name}` a value in the manifest's `parameters`"
            yield _Fault("DCP166", f"the parameter `{name}` has no value in scheduled runs", hint, place)


def _is_parameters(node: nodes.Node) -> bool:
    return (
        isinstance(node, nodes.Getattr)
        and node.attr == "parameters"
        and isinstance(node.node, nodes.Name)
        and node.node.name == "params"
    )


def _unknown_filters(text: str, tree: nodes.Template, environment: jinja2.Environment) -> Iterator[_Fault]:
    for each in tree.find_all(nodes.Filter):
        if each.name not in environment.filters:
            hint = did_you_mean(each.name, environment.filters) or "use a filter of Jinja, or ds, ds_nodash, ts, ts_nodash"
            yield _Fault("DCP166", f"there is no filter `{each.name}`", hint, _find(text, rf"\|\s*{each.name}\b"))
    for test in tree.find_all(nodes.Test):
        if test.name not in environment.tests:
            hint = hint_for(test.name, sorted(environment.tests), "there are")
            yield _Fault("DCP166", f"there is no test `{test.name}`", hint, _find(text, rf"\bis\s+(not\s+)?{test.name}\b"))


def _find(text: str, pattern: str) -> int:
    """Return the first match inside a template; plain text around templates may hold the same word."""
    for template in re.finditer(r"\{\{.*?\}\}|\{%.*?%\}", text, re.DOTALL):
        if match := re.search(pattern, template.group()):
            return template.start() + match.start()
    return 0
