"""``docs/cli.md``, from the command line's own parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from dag_factory.cli.parser import EXIT_CODES, build_parser
from dag_factory.docs.markdown import code, page, table

_INTRODUCTION = """\
# The command line `pretzel`

A manifest's kind is found by looking into it. It may also stand before the command, as in
`pretzel derived-dataset lint daily_orders.yaml`; a manifest of another kind is then an error.

The result goes to stdout, progress and errors go to stderr. With `--format json` stdout is exactly one JSON document, also when the
command fails: then it is `{"error": {...}}`."""


def command_line_page() -> str:
    """Return the page: exit codes, the options of every command, and each command with its arguments."""
    parser = build_parser()
    commands = list(_commands(parser))
    return page(
        _INTRODUCTION,
        "## Exit codes",
        table(("exit code", "meaning"), [(str(number), meaning) for number, meaning in EXIT_CODES.items()]),
        "The first digit of an [error's code](errors.md) is the exit code.",
        "## Options of every command",
        _table_of([action for action in parser._actions if action.option_strings]),
        "## Commands",
        table(
            ("command", "what it does"),
            [(f"[{command.prog}](#{_anchor(command)})", command.description or "") for command in commands],
        ),
        *(part for command in commands for part in _section(command)),
    )


def _commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield the parsers of all commands, those of a group in its place."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield parser
    for group in groups:
        for child in group.choices.values():
            yield from _commands(child)


def _section(command: argparse.ArgumentParser) -> list[str]:
    own = [action for action in command._actions if "-h" not in action.option_strings and action.default is not argparse.SUPPRESS]
    words = [_positional(action) for action in own if not action.option_strings]
    if any(action.option_strings for action in own):
        words.append("[OPTIONS]")
    synopsis = f"```\n{' '.join([command.prog, *words])}\n```"
    return [f"### {command.prog}", command.description or "", synopsis, _table_of(own) if own else ""]


def _positional(action: argparse.Action) -> str:
    name = str(action.metavar)
    return {"+": f"{name}...", "?": f"[{name}]", "*": f"[{name}...]"}.get(str(action.nargs), name)


def _table_of(actions: list[argparse.Action]) -> str:
    return table(("argument", "what it is"), [(code(_spelling(action)), action.help or "") for action in actions])


def _spelling(action: argparse.Action) -> str:
    if not action.option_strings:
        return str(action.metavar)
    names = ", ".join(action.option_strings)
    if action.nargs == 0:
        return names
    value = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else str(action.metavar)
    return f"{names} {value}"


def _anchor(command: argparse.ArgumentParser) -> str:
    return command.prog.replace(" ", "-")
