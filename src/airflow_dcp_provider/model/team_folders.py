"""Which teams the manifests of a folder may run for: the option ``[dcp] team_folders``.

A manifest's ``metadata.team`` is its author's own word, and it chooses namespace, service account and Secrets. Who may write to a
folder is the platform's to say, so the platform can say as well for whom what is in it runs.
"""

from __future__ import annotations

import json
from pathlib import PurePosixPath

#: Folder -> the teams that its manifests may name.
TeamFolders = tuple[tuple[str, tuple[str, ...]], ...]

#: Stands for every folder that is not named, and for every team.
ANY = "*"

_FORM = 'write an object like {"growth": ["growth", "growth-ml"], "*": []}'


def parse_team_folders(text: str) -> TeamFolders:
    """Read the option; empty text binds no folder.

    :raises ValueError: when the text is something else; the message completes "[dcp] team_folders ...".
    """
    if not text.strip():
        return ()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON: {error}; {_FORM}") from error
    if not isinstance(value, dict):
        raise ValueError(f"is not an object; {_FORM}")  # noqa: TRY004 - of a text, the value is wrong
    return tuple(sorted((_folder(name), _teams(name, teams)) for name, teams in value.items()))


def _folder(name: str) -> str:
    path = PurePosixPath(name)
    if name != ANY and (not name or path.is_absolute() or ".." in path.parts or "*" in name or str(path) == "."):
        raise ValueError(f"has the folder `{name}`, which is not a path below the DAGs folder; `*` stands for all other folders")
    return str(path)


def _teams(name: str, teams: object) -> tuple[str, ...]:
    if not isinstance(teams, list) or not all(isinstance(team, str) and team for team in teams):
        raise ValueError(f"gives the folder `{name}` no list of teams; {_FORM}")
    return tuple(teams)


def allowed_teams(folders: TeamFolders, manifest: str) -> tuple[str, ...] | None:
    """Return the teams that a manifest may name, None for any: those of the nearest folder above it, else those of ``*``.

    :param manifest: its path below the DAGs folder, with ``/``.
    """
    known = dict(folders)
    for folder in (*(str(parent) for parent in PurePosixPath(manifest).parents), ANY):
        if folder in known:
            return None if ANY in known[folder] else known[folder]
    return None
