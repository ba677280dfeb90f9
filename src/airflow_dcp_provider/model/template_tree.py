"""The syntax tree of a template, and which of Jinja's parts templates may use: allow lists, applied before anything is computed.

Lint shows what this finds, and the rendering of a run refuses it. A text is measured before Jinja's parser sees it, since that
goes one level deeper for each bracket.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.tests import TESTS as JINJA_TESTS

from airflow_dcp_provider.model.template_filters import FILTER_NAMES, NOT_DETERMINISTIC, TEST_NAMES
from airflow_dcp_provider.model.template_methods import DATETIME_MACROS, MACROS, METHODS
from airflow_dcp_provider.model.templates import ALLOWED_NAMES

#: The longest text that may hold templates, and the most templates that it may hold.
MAX_TEMPLATE_TEXT = 1_000_000
MAX_TAGS = 2_000
#: The most words, numbers and signs inside of all templates of a text.
MAX_TOKENS = 20_000
#: How deep brackets and blocks may nest, and how deep a tree may be.
MAX_NESTING = 32
MAX_DEPTH = 64
#: The most faults that are reported of one text.
MAX_FAULTS = 20

_OPENING = re.compile(r"\{[{%#]")
_CALLED = frozenset(name for methods in METHODS.values() for name in methods)
_CLOCKS = frozenset({"now", "utcnow", "today", "fromtimestamp", "utcfromtimestamp", "random", "uuid", "time"})
_NODES: tuple[type[nodes.Node], ...] = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Assign, nodes.AssignBlock, nodes.With),
    *(nodes.Name, nodes.Const, nodes.Tuple, nodes.List, nodes.Dict, nodes.Pair, nodes.Keyword, nodes.CondExpr, nodes.Filter),
    *(nodes.Test, nodes.Call, nodes.Getitem, nodes.Getattr, nodes.Slice, nodes.Concat, nodes.Compare, nodes.Operand),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow, nodes.Not, nodes.Neg, nodes.Pos),
    *(nodes.And, nodes.Or),
)
#: What an author calls a part that is not among them.
_STATEMENTS = {
    "Macro": "{% macro %}",
    "CallBlock": "{% call %}",
    "FilterBlock": "{% filter %}",
    "Block": "{% block %}",
    "Extends": "{% extends %}",
    "Include": "{% include %}",
    "Import": "{% import %}",
    "FromImport": "{% from %}",
    "NSRef": "an assignment to an attribute",
    "ScopedEvalContextModifier": "{% autoescape %}",
    "ExprStmt": "{% do %}",
}
_OFFERED = "templates are made of {{ }}, {% if %}, {% for %}, {% set %}, {% with %} and {% raw %}"


@dataclass(frozen=True)
class TreeFault:
    """What is wrong with a template.

    :param code: DCP155 for a part that templates may not use, DCP156 above a limit, DCP157 for what differs from run to run, DCP165
        for a mistake in the syntax.
    :param pattern: a regular expression that finds the place inside of a template, or empty.
    :param line: the line of the text, from 1.
    :param name: the name, filter or test that it is about, where there is one.
    """

    code: str
    message: str
    hint: str
    line: int = 1
    pattern: str = ""
    name: str = ""


@dataclass(frozen=True)
class ParsedTemplate:
    """A text's syntax tree and what is wrong with it.

    :param tree: what can be computed, or None exactly when there are faults.
    :param syntax: the tree also when it holds what templates may not use; None when there is none.
    """

    tree: nodes.Template | None
    faults: tuple[TreeFault, ...] = ()
    syntax: nodes.Template | None = None


@functools.cache
def environment() -> jinja2.Environment:
    """Return the Jinja environment whose lexer and parser read every template. Nothing is ever compiled or rendered in it."""
    return jinja2.Environment(keep_trailing_newline=True, autoescape=False)  # noqa: S701 - no HTML is made


@functools.lru_cache(maxsize=4096)
def parse_template(text: str) -> ParsedTemplate:
    """Return the syntax tree of ``text`` and everything that is wrong with it. Equal texts are read once."""
    fault = _too_large(text)
    if fault:
        return ParsedTemplate(None, (fault,))
    try:
        fault = _too_deep(text)
        if fault:
            return ParsedTemplate(None, (fault,))
        tree = environment().parse(text)
    except jinja2.TemplateSyntaxError as error:
        message = f"the template has a mistake: {error.message}"
        return ParsedTemplate(None, (TreeFault("DCP165", message, "check its braces, quotes and words", error.lineno),))
    except (RecursionError, ValueError) as error:
        message = f"the template cannot be read: {'it nests too deep' if isinstance(error, RecursionError) else error}"
        return ParsedTemplate(None, (_limit(message),))
    faults = tuple(_checked(tree))
    return ParsedTemplate(None if faults else tree, faults, None if any(fault.code == "DCP156" for fault in faults) else tree)


def _limit(message: str, line: int = 1) -> TreeFault:
    return TreeFault("DCP156", message, "make the template smaller; the manifest reference states the limits", line)


def _too_large(text: str) -> TreeFault | None:
    if len(text) > MAX_TEMPLATE_TEXT and _OPENING.search(text):
        return _limit(f"the text has more than {MAX_TEMPLATE_TEXT} characters and holds templates")
    for number, opening in enumerate(_OPENING.finditer(text), start=1):
        if number > MAX_TAGS:
            return _limit(f"the text holds more than {MAX_TAGS} templates", text.count("\n", 0, opening.start()) + 1)
    return None


def _too_deep(text: str) -> TreeFault | None:
    brackets = count = 0
    for line, kind, value in environment().lex(text):
        if kind in {"data", "whitespace", "comment"}:
            continue
        count += 1
        if kind == "operator":
            brackets += (value in "([{") - (value in ")]}")
        if kind in {"integer", "float"} and len(value) > 40:
            return _limit("a number in the template has more than 40 digits", line)
        if count > MAX_TOKENS:
            return _limit(f"the templates of the text have more than {MAX_TOKENS} words and signs", line)
        if brackets > MAX_NESTING:
            return _limit(f"the template nests brackets more than {MAX_NESTING} deep", line)
    return None


def walk(tree: nodes.Node) -> Iterator[tuple[nodes.Node, nodes.Node | None, int]]:
    """Yield every node with its parent and depth, in the order of the text, without recursion."""
    waiting: list[tuple[nodes.Node, nodes.Node | None, int]] = [(tree, None, 0)]
    while waiting:
        node, parent, depth = waiting.pop()
        if not node.lineno:
            # Jinja itself makes some, those of {% autoescape %} among them, without a line.
            node.lineno = parent.lineno if parent is not None else 1
        yield node, parent, depth
        waiting += [(child, node, depth + 1) for child in reversed(list(node.iter_child_nodes()))]


def path_of(node: nodes.Node) -> tuple[str, ...]:
    """Return the names of ``a.b['c']``, or nothing for another expression."""
    names: list[str] = []
    while True:
        if isinstance(node, nodes.Getattr):
            names.append(node.attr)
        elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            names.append(node.arg.value)
        elif isinstance(node, nodes.Name):
            return (node.name, *reversed(names))
        else:
            return ()
        node = node.node


def _checked(tree: nodes.Template) -> Iterator[TreeFault]:
    number = 0
    known = {node.name for node, _, _ in walk(tree) if isinstance(node, nodes.Name) and node.ctx != "load"}
    known |= ALLOWED_NAMES | {"loop", "range"}
    for node, parent, depth in walk(tree):
        if depth > MAX_DEPTH:
            yield _limit(f"the template nests more than {MAX_DEPTH} deep", node.lineno)
            return
        path = path_of(node)
        if path and path[0] not in known:
            # Lint says that the name is unknown (DCP166), and the evaluation does not have it.
            continue
        for fault in _faults_of(node, parent, known):
            yield fault
            number += 1
            if number >= MAX_FAULTS:
                return


def _faults_of(node: nodes.Node, parent: nodes.Node | None, known: Collection[str]) -> Iterator[TreeFault]:
    if not isinstance(node, _NODES):
        what = _STATEMENTS.get(type(node).__name__, "this")
        yield TreeFault("DCP155", f"{what} is not offered in templates", _OFFERED, node.lineno, r"\{%")
    elif isinstance(node, nodes.For) and node.recursive:
        yield TreeFault("DCP155", "a recursive loop is not offered in templates", _OFFERED, node.lineno, r"\brecursive\b")
    elif isinstance(node, nodes.AssignBlock) and node.filter is not None:
        yield TreeFault("DCP155", "a filter of a {% set %} block is not offered in templates", _OFFERED, node.lineno, r"\|")
    elif isinstance(node, nodes.Keyword) and isinstance(node.value, nodes.Const) and str(node.value.value).startswith("_"):
        message = f"`{node.value.value}` is not offered in templates"
        yield TreeFault(
            "DCP155", message, "names that begin with `_` are Python's own", node.lineno, re.escape(str(node.value.value))
        )
    elif isinstance(node, nodes.Getattr | nodes.Getitem):
        yield from _attribute_faults(node, parent)
    elif isinstance(node, nodes.Call):
        yield from _call_faults(node, known)
    elif isinstance(node, nodes.Filter) and (node.dyn_args is not None or node.dyn_kwargs is not None):
        yield TreeFault("DCP155", "`*` before an argument is not offered in templates", _OFFERED, node.lineno, r"\*")
    elif isinstance(node, nodes.Filter) and node.name is not None and node.name not in FILTER_NAMES:
        yield from _name_faults("filter", node.name, node.lineno, rf"\|\s*{re.escape(node.name)}\b", JINJA_FILTERS)
    elif isinstance(node, nodes.Filter) and node.name in {"map", "select", "reject", "selectattr", "rejectattr"}:
        yield from _argument_faults(node)
    elif isinstance(node, nodes.Test) and node.name not in TEST_NAMES:
        yield from _name_faults("test", node.name, node.lineno, rf"\bis\s+(not\s+)?{re.escape(node.name)}\b", JINJA_TESTS)


def _argument_faults(node: nodes.Filter) -> Iterator[TreeFault]:
    """Yield faults of the names that `map`, `select` and their like are given as texts."""
    words = [each.value if isinstance(each, nodes.Const) else None for each in node.args]
    tests = {"select": 0, "reject": 0, "selectattr": 1, "rejectattr": 1}
    place = 0 if node.name == "map" else tests[str(node.name)]
    known, what = (FILTER_NAMES, "filter") if node.name == "map" else (TEST_NAMES, "test")
    for number, word in enumerate(words[: place + 1]):
        if not isinstance(word, str):
            continue
        if number < place and word.startswith("_"):
            hint = "names that begin with `_` are Python's own"
            yield TreeFault("DCP155", f"`{word}` is not offered in templates", hint, node.lineno, re.escape(word))
        elif number == place and word not in known:
            hint = f"there are: {', '.join(sorted(known))}"
            yield TreeFault("DCP155", f"the {what} `{word}` is not offered in templates", hint, node.lineno, re.escape(word))


def _name_faults(what: str, name: str, line: int, pattern: str, of_jinja: Any) -> Iterator[TreeFault]:
    if name in NOT_DETERMINISTIC:
        yield TreeFault(
            "DCP157",
            f"the {what} `{name}` does not give the same result in every run",
            "write what follows from the run's date or parameters",
            line,
            pattern,
            name,
        )
    elif name in of_jinja:
        offered = FILTER_NAMES if what == "filter" else TEST_NAMES
        hint = f"there are: {', '.join(sorted(offered))}"
        yield TreeFault("DCP155", f"the {what} `{name}` is not offered in templates", hint, line, pattern, name)
    # Unknown everywhere: lint, which knows what is near, says so (DCP166), and the evaluation has no such name.


def _attribute_faults(node: nodes.Getattr | nodes.Getitem, parent: nodes.Node | None) -> Iterator[TreeFault]:
    path = path_of(node)
    name = path[-1] if path else getattr(node, "attr", None)
    if name is None:
        return
    place = rf"{re.escape(name)}\b"
    called = isinstance(parent, nodes.Call) and parent.node is node
    if name.startswith("_"):
        yield TreeFault(
            "DCP155", f"`{name}` is not offered in templates", "names that begin with `_` are Python's own", node.lineno, place
        )
    elif path[:2] == ("macros", "datetime") and len(path) > 2 and name not in DATETIME_MACROS and name in _CLOCKS:
        yield TreeFault(
            "DCP157",
            f"`{'.'.join(path)}` differs from run to run",
            "use logical_date, data_interval_start or data_interval_end",
            node.lineno,
            place,
        )
    elif path[:1] == ("macros",) and len(path) > 2 and not (path[1] == "datetime" and name in DATETIME_MACROS):
        yield TreeFault(
            "DCP155",
            f"`{'.'.join(path)}` is not offered in templates",
            f"macros.datetime has: {', '.join(sorted(DATETIME_MACROS))}",
            node.lineno,
            place,
        )
    elif path[:1] == ("macros",) and len(path) == 2 and name in MACROS and not called and not _is_owner(node, parent):
        yield TreeFault(
            "DCP157",
            f"`{'.'.join(path)}` is a function, and has no text that is the same in every run",
            "call it",
            node.lineno,
            place,
        )


def _is_owner(node: nodes.Node, parent: nodes.Node | None) -> bool:
    return isinstance(parent, nodes.Getattr | nodes.Getitem) and parent.node is node


def _call_faults(node: nodes.Call, known: Collection[str]) -> Iterator[TreeFault]:
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        yield TreeFault("DCP155", "`*` before an argument is not offered in templates", _OFFERED, node.lineno, r"\*")
    callee = node.node
    if isinstance(callee, nodes.Name):
        if callee.name in _CLOCKS:
            yield TreeFault(
                "DCP157",
                f"`{callee.name}()` differs from run to run",
                "use logical_date, ds or ts",
                node.lineno,
                rf"\b{callee.name}\b",
                callee.name,
            )
        elif callee.name in environment().globals and callee.name != "range":
            yield TreeFault(
                "DCP155",
                f"`{callee.name}()` is not offered in templates",
                "of Jinja's functions there is range()",
                node.lineno,
                rf"\b{callee.name}\b",
                callee.name,
            )
        return
    if not isinstance(callee, nodes.Getattr | nodes.Getitem):
        yield TreeFault("DCP155", "this cannot be called in templates", "call a method by its name", node.lineno, r"\(")
        return
    path = path_of(callee)
    name = path[-1] if path else getattr(callee, "attr", "")
    if path and path[0] not in known:
        return
    if path[:1] != ("macros",) and name not in _CALLED and not name.startswith("_"):
        if name in _CLOCKS:
            yield TreeFault(
                "DCP157", f"`{name}()` differs from run to run", "use logical_date, ds or ts", node.lineno, rf"{re.escape(name)}\b"
            )
        else:
            hint = f"methods are: {', '.join(sorted(_CALLED))}"
            yield TreeFault(
                "DCP155",
                f"the method `{name}` is not offered in templates",
                hint,
                node.lineno,
                rf"{re.escape(name)}\b" if name else r"\(",
            )
