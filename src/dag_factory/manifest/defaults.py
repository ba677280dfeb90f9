"""``defaults.yaml``: what the manifests of a folder and of those below it inherit, in a section for each kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from airflow_dcp_provider.model.errors import ManifestError
from dag_factory.manifest.discovery import DEFAULTS_FILE
from dag_factory.manifest.files import FolderFiles
from dag_factory.manifest.node import Node
from dag_factory.manifest.problems import Problems, did_you_mean, hint_for
from dag_factory.manifest.regular_files import is_there
from dag_factory.manifest.yaml_reader import read_yaml


def defaults_candidates(manifest: Path, root: Path) -> tuple[Path, ...]:
    """Return where a manifest's defaults may be, farthest first: ``root``'s own and that of every folder down to the manifest's."""
    below = manifest.relative_to(root).parent.parts
    return tuple(root.joinpath(*below[:depth], DEFAULTS_FILE) for depth in range(len(below) + 1))


def read_defaults(manifest: Path, kind: str, kinds: Sequence[str], files: FolderFiles, problems: Problems) -> tuple[Node, ...]:
    """Return the sections that a manifest inherits, farthest first.

    :param kind: the section to read; ``kinds`` are all that may stand in the file.
    :param problems: gets what is wrong with the files, and DCP116 for a section that no plugin knows. A file without any known
        section is foreign and left alone.
    """
    found = []
    for path in defaults_candidates(manifest, files.root):
        if not is_there(path):
            files.note_absent(path)
            continue
        try:
            node = read_yaml(files.read(path), files.name_of(path), files.settings)
        except ManifestError as error:
            problems.extend(error.problems)
            continue
        if node is not None:
            _check_sections(node, kinds, problems)
            section = node.get(kind)
            if section is not None and section.is_map:
                found.append(section)
            elif section is not None and section.value is not None:
                problems.add(
                    "DCP111", f"the section `{kind}` must be a map", section.position, "write its fields below it, indented"
                )
    return tuple(found)


def _check_sections(node: Node, kinds: Sequence[str], problems: Problems) -> None:
    ours = any(name in kinds for name in node.fields)
    for name, section in node.fields.items():
        if name not in kinds and not name.startswith("x-") and (ours or did_you_mean(name, kinds)):
            problems.add("DCP116", f"unknown section `{name}`", section.key_position, hint_for(name, kinds, "the sections are"))
