"""Every stable error code with its title and explanation; ``docs/errors.md`` is generated from here.

The first digit is whose fault it is and the command line's exit code: 1 the manifest's, 2 wrong usage, 3 the run's, 4 the
environment's. A code is never reused for something else.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ErrorCode:
    """One code: ``title`` in a few words, ``explanation`` what it means and what to do, for the documentation."""

    title: str
    explanation: str


#: Manifests, DCP100 to DCP179: reading, schema, merging, templates, SQL.
MANIFEST_CODES: dict[str, ErrorCode] = {
    "DCP100": ErrorCode("manifest cannot be used", "The manifest has problems; each is listed with a code of its own."),
}

#: Plugins and DAGs, DCP180 to DCP199.
DAG_CODES: dict[str, ErrorCode] = {}

#: Usage, DCP200 to DCP299.
USAGE_CODES: dict[str, ErrorCode] = {
    "DCP200": ErrorCode("wrong usage", "The command or call makes no sense as it was made; the message says what to change."),
    "DCP201": ErrorCode(
        "not offered", "This plugin, primitive or backend does not offer what was asked. Nothing was done instead."
    ),
}

#: Executions, DCP300 to DCP319: identity, cancel, time-out.
EXECUTION_CODES: dict[str, ErrorCode] = {
    "DCP300": ErrorCode("execution failed", "The Spark execution did not succeed; the message and the driver's log say why."),
    "DCP310": ErrorCode(
        "name taken by another owner", "A resource with the attempt's name exists and belongs to another manifest."
    ),
    "DCP312": ErrorCode(
        "template cannot be rendered", "A template of the job uses a name that the run does not define, or fails as it is computed."
    ),
}

#: What the driver reports and what a diagnosis finds, DCP320 to DCP369.
FAILURE_CODES: dict[str, ErrorCode] = {}

#: Proof of tables, DCP370 to DCP399.
PROOF_CODES: dict[str, ErrorCode] = {}

#: Environments and connections, DCP400 to DCP419.
ENVIRONMENT_CODES: dict[str, ErrorCode] = {
    "DCP400": ErrorCode("environment fault", "The platform, not the manifest, is to blame; the message says which part."),
    "DCP410": ErrorCode("unknown environment", "The name is none of local, test, staging, prod, production, playground_<user>."),
    "DCP411": ErrorCode("unknown catalog alias", "The environment's connection has no catalog of this alias."),
}

#: Catalogs and tables, DCP420 to DCP439.
TABLE_CODES: dict[str, ErrorCode] = {}

#: The local backend and the store, DCP440 to DCP459.
LOCAL_CODES: dict[str, ErrorCode] = {}


def all_codes() -> dict[str, ErrorCode]:
    """Return every code of every family, in order."""
    families = (
        MANIFEST_CODES,
        DAG_CODES,
        USAGE_CODES,
        EXECUTION_CODES,
        FAILURE_CODES,
        PROOF_CODES,
        ENVIRONMENT_CODES,
        TABLE_CODES,
        LOCAL_CODES,
    )
    return dict(sorted((code, text) for family in families for code, text in family.items()))
