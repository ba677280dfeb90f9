"""Prints the tests that failed in pytest's last run, one a line: ``python -m dev.last_failed --most 5``.

Exits with 1 when none is known, as after an error of pytest itself, or when there are more than ``--most``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

_CACHE = Path(".pytest_cache/v/cache/lastfailed")


def last_failed(cache: Path) -> list[str]:
    """Return the ids of the tests that failed in the last run; none when pytest left no record of it."""
    return sorted(json.loads(cache.read_text(encoding="utf-8"))) if cache.is_file() else []


def main() -> int:
    """Print the tests and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dev.last_failed", description=__doc__)
    parser.add_argument("--most", type=int, required=True, help="the highest number of failures that are worth a second run")
    names = last_failed(_CACHE)
    if not 0 < len(names) <= parser.parse_args().most:
        sys.stderr.write(f"{len(names)} tests failed: not run once more\n")
        return 1
    sys.stdout.write("".join(f"{name}\n" for name in names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
