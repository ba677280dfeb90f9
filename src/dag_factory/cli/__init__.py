"""The command line ``pretzel``.

Each command is a module of this package that is imported only when it is asked for, so that ``pretzel --help`` and ``pretzel lint``
never pay for Airflow, pyiceberg or Spark. The commands themselves are thin: what they show is decided elsewhere.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_dcp_provider.model.errors import DcpEnvironmentError, DcpError, ExecutionError
from dag_factory.cli.output import Output
from dag_factory.cli.parser import parse, wanted_format

if TYPE_CHECKING:
    import argparse

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0 good, 1 the manifest's fault, 2 wrong usage, 3 the run failed, 4 the environment's fault. An error is printed on stderr as its
    text; with ``--format json`` it is also the one JSON document on stdout.

    :param arguments: the words after ``pretzel``; the process's own by default.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    output = Output(wanted_format(words))
    debug = "--debug" in words
    try:
        code = _run(parse(words), output)
        # A reader that stops early (`pretzel data show ... | head`) is found out here and not while Python shuts down.
        sys.stdout.flush()
    except DcpError as error:
        return _failed(error, output, debug)
    except KeyboardInterrupt:
        return _failed(
            ExecutionError("interrupted", code="DCP319", hint="what was begun has ended, or was asked to end"), output, debug
        )
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - no traceback ever reaches a user who did not ask for one
        unexpected = DcpEnvironmentError(
            f"pretzel itself failed: {type(error).__name__}: {error}",
            code="DCP401",
            hint="run the command again with --debug and report what it prints",
        )
        return _failed(unexpected, output, debug)
    return code


def _run(options: argparse.Namespace, output: Output) -> int:
    if options.home:
        # The variable and not an argument: the Spark driver and the catalog that a run starts must see the same home.
        os.environ["DCP_HOME"] = str(Path(options.home).expanduser().resolve())
    module, function = options.handler.split(":")
    command = getattr(importlib.import_module(f"dag_factory.cli.{module}"), function)
    return int(command(options, output))


def _failed(error: DcpError, output: Output, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    output.failure(error)
    return error.exit_code
