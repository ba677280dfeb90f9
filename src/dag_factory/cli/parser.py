"""The words of the command line: commands, arguments and options. ``docs/cli.md`` is generated from here.

A manifest's kind may stand before the command, as the documents write it (``pretzel derived-dataset lint daily_orders.yaml``); it
is taken off before argparse sees the rest, so that kinds of other packages' plugins work as well.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from typing import Any, NoReturn

from airflow_dcp_provider.model.errors import UsageError

EXIT_CODES = {
    0: "good",
    1: "the manifest's fault",
    2: "wrong usage",
    3: "the run failed",
    4: "the environment's fault",
}

_EPILOG = """\
A manifest's kind is found by looking into it. It may also stand before the command, as in
`pretzel derived-dataset lint daily_orders.yaml`; a manifest of another kind is then an error.

exit codes:
""" + "\n".join(f"  {code}  {meaning}" for code, meaning in EXIT_CODES.items())


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are :class:`UsageError` and that never guesses abbreviated options."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter, **settings})

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong with the command line.

        :raises UsageError: DCP202, always.
        """
        raise UsageError(f"{self.prog}: {message}", code="DCP202", hint=f"`{self.prog} --help` lists what can be given")


def wanted_format(words: Sequence[str]) -> str:
    """Return the output format that ``words`` ask for, also where the rest of them makes no sense."""
    early = Parser(add_help=False, exit_on_error=False)
    early.add_argument("--format", choices=("text", "json"), default="text")
    try:
        found, _ = early.parse_known_args(list(words))
    except (UsageError, argparse.ArgumentError):
        return "text"
    return str(found.format)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return the options of one command line.

    ``handler`` is ``module:function`` inside :mod:`dag_factory.cli`; ``kind`` is the plugin that stood before the command, or None.

    :raises UsageError: DCP202 or DCP203 when the words make no sense.
    :raises SystemExit: after ``--help`` and ``--version``.
    """
    parser = build_parser()
    kind, rest = _take_kind(list(words), parser)
    options = parser.parse_args(rest, argparse.Namespace(kind=kind))
    if kind and not options.of_manifests:
        raise UsageError("pretzel: this command is not about manifests", code="DCP202", hint="leave the kind out")
    return options


def build_parser() -> Parser:
    """Return the whole parser."""
    parser = Parser(prog="pretzel", description="Work with DCP manifests on the command line.", epilog=_EPILOG)
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and stop")
    _common(parser, top=True)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_lint, _schema, _render, _run, _capabilities, _data, _executions, _environments):
        add(commands)
    return parser


def _lint(commands: Any) -> None:
    command = _command(commands, "lint", "lint:lint", "find every problem of manifests, without running anything")
    command.add_argument("paths", metavar="PATH", nargs="+", help="manifest files, or folders that are searched for manifests")
    _environment(command, default=None, help_text="only as resolved for this environment (default: all of them)")


def _schema(commands: Any) -> None:
    command = _command(commands, "schema", "schema:schema", "print the JSON Schema of a manifest kind, or list the kinds")
    command.add_argument("name", metavar="KIND", nargs="?", help="for example SparkJob; without it the kinds are listed")


def _render(commands: Any) -> None:
    text = "print what a manifest becomes: the resolved manifest, its LogicalPlan, and the job of one day"
    command = _command(commands, "render", "render:render", text)
    _manifest(command)
    _environment(command)
    _day(command)
    command.add_argument("--origins", action="store_true", help="say of each value which file and line it came from")
    only = command.add_mutually_exclusive_group()
    only.add_argument(
        "--server",
        action="store_true",
        help="print the application that the environment's cluster would keep, by a server-side dry run; nothing is made",
    )
    only.add_argument(
        "--part",
        choices=("manifest", "plan", "job"),
        help="print only this part (default: all three)",
    )


def _run(commands: Any) -> None:
    text = "run a manifest's DAG once, here and now: the same DAG as in Airflow, without a scheduler"
    command = _command(commands, "run", "run:run", text)
    _manifest(command)
    _environment(command)
    _day(command)
    command.add_argument("--rows", metavar="N", type=_number, default=10, help="show so many rows of the result (default: 10)")
    command.add_argument("--quiet", action="store_true", help="leave the driver's log out of the progress")


def _capabilities(commands: Any) -> None:
    for name, text in (
        ("test", "try a manifest without running it, where its plugin offers that"),
        ("plan", "show what applying a manifest would change, where its plugin offers that"),
        ("apply", "make what a manifest asks for real, where its plugin offers that"),
    ):
        command = _command(commands, name, f"capabilities:{name}", text)
        _manifest(command)
        _environment(command)


def _data(commands: Any) -> None:
    data = _group(commands, "data", "tables of the embedded catalog")
    load = _command(
        data, "load", "data:load", "load a CSV, Parquet or JSON lines file into a table, which is made when it is missing"
    )
    _table(load)
    load.add_argument(
        "file",
        metavar="FILE",
        help="a .csv, .parquet, .json, .jsonl or .ndjson file (text also as .gz); it is read into memory",
    )
    load.add_argument(
        "--partition-by",
        metavar="COLUMN",
        action="append",
        default=[],
        help="partition a new table by it; may be repeated",
    )
    load.add_argument(
        "--text",
        metavar="COLUMN",
        action="append",
        default=[],
        help="keep this column of a CSV or JSON file as text, such as codes that begin with 0; may be repeated",
    )
    load.add_argument("--replace", action="store_true", help="replace the table's rows; without it the rows are added")
    show = _command(data, "show", "data:show", "show rows of a table")
    _table(show)
    show.add_argument("--where", metavar="SQL", default="", help="a condition, like \"ds = '2013-01-05' AND dep_delay > 60\"")
    show.add_argument("--limit", metavar="N", type=_number, default=20, help="at most so many rows (default: 20)")


def _executions(commands: Any) -> None:
    executions = _group(commands, "executions", "Spark executions and their attempts")
    listing = _command(executions, "list", "executions:list_executions", "list executions, the newest first")
    _environment(listing, default=None, help_text="only of this environment (default: all of them)")
    listing.add_argument("--limit", metavar="N", type=_number, default=20, help="at most so many executions (default: 20)")
    for name, handler, text in (
        ("show", "executions:show", "show an execution: its attempts, its history, its proof"),
        ("logs", "executions:logs", "print the driver's log"),
        ("cancel", "executions:cancel", "cancel the execution's running attempt"),
    ):
        command = _command(executions, name, handler, text)
        command.add_argument("execution_id", metavar="EXECUTION_ID", help="the id, or a beginning that only one has")
        if name == "logs":
            command.add_argument("--attempt", metavar="N", type=_number, help="of this attempt (default: the last)")
            command.add_argument("--follow", action="store_true", help="go on until the attempt has ended")
        unknown = "also look for it on the clusters of this environment, when the history does not know it"
        _environment(command, default=None, help_text=unknown)
    sweep = _command(executions, "sweep", "sweep:sweep", "mend or name what executions have left over")
    _environment(sweep, default=None, help_text="only this environment (default: those of [dcp] environments)")
    sweep.add_argument("--dry-run", action="store_true", help="change nothing")
    sweep.add_argument("--cancel-orphans", action="store_true", help="cancel executions that no task waits for any more")


def _environments(commands: Any) -> None:
    environments = _group(commands, "environments", "environments and what they need")
    _command(environments, "list", "environments:list_environments", "list the deployment's environments")
    check = _command(environments, "check", "environments:check", "find what keeps environments from running jobs")
    check.add_argument("names", metavar="NAME", nargs="*", help="environments (default: all of the deployment)")
    check.add_argument("--team", metavar="TEAM", default="", help="look at this team's namespaces (default: of all teams it lists)")
    check.add_argument("--user", metavar="USER", default="", help="look at this user's namespaces (default: its own user)")


def _group(commands: Any, name: str, text: str) -> Any:
    parser = commands.add_parser(name, help=text, description=_sentence(text))
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def _command(commands: Any, name: str, handler: str, text: str) -> Parser:
    parser: Parser = commands.add_parser(name, help=text, description=_sentence(text))
    parser.set_defaults(
        handler=handler, of_manifests=handler.partition(":")[0] not in {"data", "executions", "sweep", "environments"}
    )
    _common(parser)
    return parser


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _common(parser: argparse.ArgumentParser, *, top: bool = False) -> None:
    # The options may stand before and after the command; only the first parser sets defaults, or the second would undo its values.
    def default(value: object) -> Any:
        return value if top else argparse.SUPPRESS

    options = parser.add_argument_group("options of every command")
    options.add_argument(
        "--format",
        choices=("text", "json"),
        default=default("text"),
        help="json: stdout is exactly one JSON document, progress goes to stderr (default: text)",
    )
    options.add_argument("--home", metavar="FOLDER", default=default(None), help="use this folder as DCP_HOME")
    options.add_argument(
        "--debug", action="store_true", default=default(False), help="print tracebacks, and Airflow's log of a run"
    )


def _manifest(command: argparse.ArgumentParser) -> None:
    command.add_argument("manifest", metavar="MANIFEST", help="the manifest's file")


def _table(command: argparse.ArgumentParser) -> None:
    command.add_argument("table", metavar="DATABASE.TABLE", help="the table's name in the embedded catalog")


def _environment(
    command: argparse.ArgumentParser,
    default: str | None = "local",
    help_text: str = "local, test, staging, prod or playground_<user> (default: local)",
) -> None:
    command.add_argument("--environment", metavar="NAME", default=default, help=help_text)


def _day(command: argparse.ArgumentParser) -> None:
    command.add_argument("--date", metavar="YYYY-MM-DD", help="the run's day, {{ ds }}, or a time of it (default: yesterday, UTC)")
    command.add_argument(
        "--parameter",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a parameter, as in the trigger form; the value is JSON where it can be read as such, else text; may be repeated",
    )


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"`{text}` is not a number from 1")
    return int(text)


class _Version(argparse.Action):
    """``--version``: the installed version, looked up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> NoReturn:
        from importlib.metadata import version

        print(f"pretzel {version('airflow-dcp-provider')}")
        parser.exit()


def command_words(parser: argparse.ArgumentParser) -> list[str]:
    """Return the first words that ``parser`` knows as commands."""
    return [word for action in parser._actions if isinstance(action.choices, dict) for word in action.choices]


def _take_kind(words: list[str], parser: Parser) -> tuple[str | None, list[str]]:
    """Return the kind before the command, as the plugin is called, and the words without it."""
    at = next((index for index, word in enumerate(words) if not word.startswith("-") and not _is_value(words, index)), None)
    if at is None or words[at] in command_words(parser):
        return None, words
    from dag_factory.cli.kinds import plugin_words

    kinds = plugin_words()
    if words[at] in kinds:
        return kinds[words[at]], words[:at] + words[at + 1 :]
    close = difflib.get_close_matches(words[at], [*command_words(parser), *kinds], n=1)
    known = ", ".join(command_words(parser))
    hint = f"did you mean `{close[0]}`?" if close else f"the commands are {known}; the kinds are {', '.join(kinds)}"
    raise UsageError(f"pretzel: `{words[at]}` is neither a command nor a kind of manifest", code="DCP203", hint=hint)


def _is_value(words: list[str], index: int) -> bool:
    return index > 0 and words[index - 1] in {"--format", "--home"}
