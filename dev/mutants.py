"""Mutation testing without a dependency: ``python -m dev.mutants [MODULE --tests PATH...]``.

Each mutant is the module with one small fault: a comparison turned around, a constant changed, a statement removed. The module's
own tests run against it; a mutant that passes them is a survivor and is printed with its place. Nothing in the working tree
changes: a mutant lives only in the memory of a forked process, which imports it instead of the file. What the tests import from
elsewhere is loaded once, before the first fork, so that a mutant costs little more than the tests themselves.

Without a module, every module of :data:`SUITES` is tried. Exit code 1 means that fewer than ``--least`` of 100 mutants were killed.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import re
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "src"
#: Modules of the project itself are imported anew in each process, never before the fork.
OWN = ("airflow_dcp_provider", "dag_factory", "tests", "conftest", "__main__")

CORE = "src/airflow_dcp_provider/core_etl"
UNIT = "tests/unit/core_etl"
#: What is tried by default: a module, and the tests that are to kill its mutants. None of them starts Spark.
SUITES: dict[str, tuple[str, ...]] = {
    "src/airflow_dcp_provider/tables/schema.py": ("tests/unit/tables/test_schema.py",),
    f"{CORE}/column_types.py": (f"{UNIT}/test_column_types.py", f"{UNIT}/test_type_rules.py"),
    f"{CORE}/shape.py": (f"{UNIT}/test_shape.py", f"{UNIT}/test_placing.py"),
    f"{CORE}/proof.py": (f"{UNIT}/test_summary.py",),
    f"{CORE}/spec.py": (f"{UNIT}/test_spec.py", f"{UNIT}/test_spec_rules.py"),
    f"{CORE}/partition_values.py": (f"{UNIT}/test_conditions.py",),
    f"{CORE}/measure.py": (f"{UNIT}/test_measure_rules.py",),
    f"{CORE}/write.py": (f"{UNIT}/test_write_rules.py", f"{UNIT}/test_shape.py"),
    f"{CORE}/commits.py": (f"{UNIT}/test_commits.py", f"{UNIT}/test_commit_waits.py"),
}

#: Where the rest of a module works on Spark: the functions that only decide.
FUNCTIONS: dict[str, tuple[str, ...]] = {
    f"{CORE}/measure.py": ("_check", "needs_partitions", "release"),
    f"{CORE}/write.py": ("_partitions", "_replaces_when_empty", "already_done", "merge_condition", "merge_statement"),
}

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_SKIPPED_FIELDS = {"decorator_list", "annotation", "returns", "type_params"}
_LOGGERS = {"LOG", "log", "logger"}
#: Wording is no behaviour: sentences stay as they are.
_PROSE = re.compile(r"(?=.{20}).* .* ", re.DOTALL)


@dataclass(frozen=True)
class Mutant:
    """One fault: what stands at ``line`` and what replaces it.

    ``owner`` and ``field`` say where in the tree ``node`` goes, ``index`` its place when the field is a list.
    """

    line: int
    change: str
    owner: ast.AST
    field: str
    index: int | None
    node: ast.AST

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Put the fault into the tree, and take it out again."""
        before = getattr(self.owner, self.field)
        after = self.node if self.index is None else [*before[: self.index], self.node, *before[self.index + 1 :]]
        setattr(self.owner, self.field, after)
        try:
            yield
        finally:
            setattr(self.owner, self.field, before)


def mutants(tree: ast.Module) -> list[Mutant]:
    """Return every mutant of a module, in the order of its lines."""
    return sorted(_of_children(tree), key=lambda mutant: mutant.line)


def _of_children(owner: ast.AST) -> Iterator[Mutant]:
    for field, value in ast.iter_fields(owner):
        if field in _SKIPPED_FIELDS or (isinstance(owner, ast.JoinedStr) and _is_wording(owner)):
            continue
        places: list[tuple[int | None, Any]] = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
        for index, node in places:
            if not isinstance(node, ast.AST) or _is_skipped(node):
                continue
            for change, replacement in _replacements(node):
                ast.copy_location(replacement, node)
                ast.fix_missing_locations(replacement)
                place = node.target if isinstance(node, ast.comprehension) else node
                yield Mutant(place.lineno, f"{_shown(node)}  ->  {change or _shown(replacement)}", owner, field, index, replacement)
            yield from _of_children(node)


def _is_skipped(node: ast.AST) -> bool:
    """Whether a node has no behaviour that a test could see: docstrings, log lines, imports, what only a type checker reads."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.Expr):
        call = node.value
        logs = isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and _name(call.func.value) in _LOGGERS
        return logs or isinstance(call, ast.Constant)
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
        return _name(node.value.func) in {"TypeVar", "getLogger"}
    return isinstance(node, ast.If) and _name(node.test) == "TYPE_CHECKING"


def _is_wording(text: ast.JoinedStr) -> bool:
    """Whether an f-string is a sentence for people, and not a name or a key made of parts."""
    return any(isinstance(part, ast.Constant) and re.search(r"[a-z] | [a-z]", str(part.value)) for part in text.values)


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _replacements(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:  # noqa: C901, PLR0912 -- one branch for each kind of node
    """Return the faults that a node can have, each with words for it where its source would not say enough."""
    match node:
        case ast.Compare(left=left, ops=ops, comparators=right):
            for place, operator in enumerate(ops):
                changed = [*ops[:place], _COMPARISONS[type(operator)](), *ops[place + 1 :]]
                yield "", ast.Compare(left, changed, right)
        case ast.BoolOp(op=operator, values=values):
            yield "", ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "", operand
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            yield "", operand
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _ARITHMETIC:
            yield "", ast.BinOp(left, _ARITHMETIC[type(operator)](), right)
        case ast.AugAssign(target=target, op=operator, value=value):
            if type(operator) in _ARITHMETIC:
                yield "", ast.AugAssign(target, _ARITHMETIC[type(operator)](), value)
            yield "removed", ast.Pass()
        case ast.Constant(value=value):
            yield from (("", ast.Constant(other)) for other in _other_values(value))
        case ast.Return(value=value) if value is not None and not (isinstance(value, ast.Constant) and value.value is None):
            yield "", ast.Return(ast.Constant(None))
        case ast.If(test=test, body=body, orelse=orelse) if not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp):
            yield "condition negated", ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.IfExp(test=test, body=body, orelse=orelse) if not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp):
            yield "condition negated", ast.IfExp(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.comprehension(target=target, iter=source, ifs=[_, *_], is_async=kind):
            yield "filter removed", ast.comprehension(target, source, [], kind)
        case ast.Expr() | ast.Raise():
            yield "removed", ast.Pass()
        case ast.Continue():
            yield "", ast.Break()
        case ast.Break():
            yield "", ast.Continue()
        case _:
            return


def _other_values(value: object) -> Iterator[object]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, float):
        yield value + 1.0
    elif isinstance(value, str) and value and not _PROSE.match(value):
        yield "mutated"


def _shown(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


class _OneModule(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from code in memory, and leaves all others alone."""

    def __init__(self, name: str, path: Path, code: CodeType) -> None:
        self._name, self._path, self._code = name, path, code

    def find_spec(self, fullname: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=str(self._path))

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(self._path)
        exec(self._code, module.__dict__)


def _forked(finder: _OneModule | None, tests: Sequence[str], seconds: float, loaded: Path | None = None) -> int:
    """Run the tests in a forked process; return pytest's exit code, or -1 when the time was up.

    :param loaded: a file that gets the names of the modules which the tests imported.
    """
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _run_tests(finder, tests, loaded)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -1


def _run_tests(finder: _OneModule | None, tests: Sequence[str], loaded: Path | None) -> None:
    """Run the tests in this process and end it."""
    code = 3
    try:
        os.setpgid(0, 0)
        if loaded is None:
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
        if finder is not None:
            sys.meta_path.insert(0, finder)
        import pytest

        _let_hypothesis_only_find()
        # A fixed seed: whether a mutant survives must not depend on the run.
        options = [
            "-x",
            "-q",
            "--no-header",
            "--tb=no",
            "--assert=plain",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "-p",
            "no:randomly",
        ]
        code = int(pytest.main([*options, "--hypothesis-seed=0", "--timeout=0", *tests]))
        if loaded is not None:
            loaded.write_text(json.dumps([name for name in sys.modules if name.partition(".")[0] not in OWN]))
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 -- the process ends here, whatever happened
        traceback.print_exc()
    finally:
        os._exit(code)


def _let_hypothesis_only_find() -> None:
    """Spare the time in which Hypothesis makes an example smaller that nobody will read."""
    with contextlib.suppress(ImportError):
        from hypothesis import Phase, settings

        settings.register_profile("mutants", phases=[Phase.explicit, Phase.generate], database=None, deadline=None)
        settings.load_profile("mutants")


def _load_what_tests_load(names: Sequence[str]) -> None:
    for name in names:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def _module_name(path: Path) -> str:
    return ".".join(path.relative_to(SOURCES).with_suffix("").parts)


def lines_of(tree: ast.Module, functions: Sequence[str]) -> set[int]:
    """Return the lines of the functions and methods with these names.

    :raises SystemExit: when there is no such function.
    """
    lines: set[int] = set()
    names = set(functions)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name in functions:
            names.discard(node.name)
            lines |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    if names:
        raise SystemExit(f"there is no function {', '.join(sorted(names))}")
    return lines


def try_module(path: Path, tests: Sequence[str], lines: Sequence[int] = (), functions: Sequence[str] = ()) -> tuple[int, list[str]]:
    """Run the tests against every mutant of a module; return how many mutants there are, and the survivors.

    :param lines: only mutants of these lines, or of these ``functions``; all of them when both are empty.
    :raises SystemExit: when the tests fail without any fault.
    """
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source, str(path))
    name, shown = _module_name(path), path.relative_to(ROOT)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        loaded = Path(folder, "loaded.json")
        if _forked(None, tests, 600, loaded) != 0:
            raise SystemExit(f"{shown}: the tests fail without any fault: {' '.join(tests)}")
        _load_what_tests_load(json.loads(loaded.read_text()))
    seconds = time.monotonic() - started
    whole = _OneModule(name, path, compile(tree, str(path), "exec"))
    if _forked(whole, tests, 600) != 0:
        raise SystemExit(f"{shown}: the tests pass, but not when the module is imported from memory")
    survivors = []
    chosen = {*lines, *lines_of(tree, functions)}
    tried = [mutant for mutant in mutants(tree) if not chosen or mutant.line in chosen]
    for number, mutant in enumerate(tried, start=1):
        with mutant.applied():
            code = compile(tree, str(path), "exec")
        if _forked(_OneModule(name, path, code), tests, 10 + 5 * seconds) == 0:
            survivors.append(f"{shown}:{mutant.line}: {mutant.change}")
            print(f"survived  {survivors[-1]}", flush=True)
        if sys.stderr.isatty():
            print(f"\r{shown}: {number} of {len(tried)}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    return len(tried), survivors


def _path(text: str) -> Path:
    """Return a module's file, named from the project's folder or from ``src``."""
    for base in (ROOT, SOURCES, Path.cwd()):
        if (base / text).is_file():
            return (base / text).resolve()
    raise argparse.ArgumentTypeError(f"there is no file {text}")


def main(argv: Sequence[str] | None = None) -> int:
    """Try the modules that the arguments name and print what survived."""
    parser = argparse.ArgumentParser(prog="python -m dev.mutants", description=__doc__.splitlines()[0])
    parser.add_argument(
        "modules", nargs="*", type=_path, metavar="MODULE", help="file of a module; all of the script's table by default"
    )
    parser.add_argument("--tests", nargs="+", default=[], metavar="PATH", help="tests to run, as pytest takes them")
    parser.add_argument("--lines", nargs="+", type=int, default=[], metavar="LINE", help="only mutants of these lines")
    parser.add_argument("--functions", nargs="+", default=[], metavar="NAME", help="only mutants of these functions")
    parser.add_argument("--least", type=int, default=90, help="how many of 100 mutants must be killed (default 90)")
    arguments = parser.parse_args(argv)
    suites = {_path(name): tests for name, tests in SUITES.items() if arguments.modules or (ROOT / name).is_file()}
    failed = False
    for path in arguments.modules or suites:
        tests = arguments.tests or suites.get(path)
        if not tests:
            parser.error(f"say with --tests which tests are to kill the mutants of {path}")
        started = time.monotonic()
        functions = arguments.functions or FUNCTIONS.get(str(path.relative_to(ROOT)), ())
        total, survivors = try_module(path, tests, arguments.lines, () if arguments.lines else functions)
        killed = total - len(survivors)
        share = 100 * killed / total if total else 100.0
        print(
            f"{path.relative_to(ROOT)}: {killed} of {total} mutants killed ({share:.1f} of 100, {time.monotonic() - started:.0f} s)"
        )
        failed = failed or share < arguments.least
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
