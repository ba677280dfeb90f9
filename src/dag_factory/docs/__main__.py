"""``python -m dag_factory.docs [--check] [FOLDER]``: write the generated pages, or say whether they are up to date."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dag_factory.docs import pages


def main(arguments: list[str] | None = None) -> int:
    """Write the pages whose text has changed, or with ``--check`` only name them; return 1 when the check finds any."""
    parser = argparse.ArgumentParser(prog="python -m dag_factory.docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a page is not up to date")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs"), help="where the pages are (default: docs)")
    options = parser.parse_args(arguments)
    stale = {options.folder / name: text for name, text in pages().items() if _present(options.folder / name) != text}
    for path, text in stale.items():
        if options.check:
            sys.stderr.write(f"{path} is not up to date; run `make docs`\n")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{path}\n")
    return 1 if options.check and stale else 0


def _present(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
