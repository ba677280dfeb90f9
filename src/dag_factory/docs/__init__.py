"""Documentation that is generated: manifests from their JSON Schemas, errors from their registry, the command line from its parser.

``python -m dag_factory.docs`` writes the pages, ``python -m dag_factory.docs --check`` says whether they are up to date.
"""

from __future__ import annotations

from dag_factory.docs.command_line import command_line_page
from dag_factory.docs.errors import errors_page
from dag_factory.docs.manifests import manifests_page

__all__ = ["pages"]


def pages() -> dict[str, str]:
    """Return every generated page by its file's name in ``docs/``."""
    return {"manifest-reference.md": manifests_page(), "errors.md": errors_page(), "cli.md": command_line_page()}
