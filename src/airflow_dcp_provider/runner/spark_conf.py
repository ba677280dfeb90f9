"""Which Spark settings a manifest may set: a list of names, each with the form of its value (:mod:`.spark_allowed`).

All else is refused: by lint, again where a job is submitted, and where a backend writes Spark's configuration, because a job need
not come from a manifest that was linted. The environment's connection may allow further names (``allowed_spark_conf``), but none of
:data:`NEVER`, which would let a manifest run code of its own outside SQL, read what is not its own, or hide what it does.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_dcp_provider.model.errors import ExecutionError
from airflow_dcp_provider.model.names import is_plain_text
from airflow_dcp_provider.runner.spark_allowed import ALLOWED, SHAPES
from airflow_dcp_provider.runner.spark_options import option_refusals

if TYPE_CHECKING:
    from airflow_dcp_provider.model.job import JobSpec

#: The only form of a setting's name. With `=`, a comma or a blank in it, one setting could become two.
_NAME = re.compile(r"spark(\.[A-Za-z0-9_-]+)+")
_LONGEST_NAME = 200
_LONGEST_VALUE = 1000

#: For how many refused names the nearest one of the list is looked for, which takes a millisecond each.
_COMPARED = 20

#: How many refused settings one message names.
_SHOWN = 10

#: What an entry of ``allowed_spark_conf`` looks like: a name, or all names below one.
_ENTRY = re.compile(r"spark(\.[A-Za-z0-9_-]+)+(\.\*)?")

#: Beginnings and names that no environment can leave to a manifest. A connection's ``spark_defaults`` may set them.
NEVER = re.compile(
    r"""spark\.(
    (.+\.)?(extraJavaOptions|defaultJavaOptions|extraClassPath|extraLibraryPath|userClassPathFirst)
    | (master|remote|home|plugins|files|archives|jars|extraListeners|executorEnv|local\.dir|api\.mode)(\..+)?
    | (admin|modify|acls|authenticate|kerberos|io\.encryption|network\.crypto|ssl|user)\..+
    | (submit|pyspark|python|r|sparkr|kubernetes|yarn|mesos|deploy|worker|history|connect|eventLog|redaction|wap)\..+
    | driver\.(memory|host|port|bindAddress|supervise|log\..+)
    | metrics\.conf(\..+)?
    | ui\.(filters|proxyBase|proxyRedirectUri|view\.acls.*|allowFramingFrom)
    | .+\.discoveryScript | resources\.discoveryPlugin
    | sql\.(catalog|extensions|redaction|queryExecutionListeners|hive|warehouse|streaming)(\..+)?
    | sql\.(defaultCatalog|catalogImplementation|runSQLOnFiles|caseSensitive|session\.timeZone|variable\.substitute)
    | sql\.iceberg\.snapshot-property(\..+)?
    | hadoop\.(.+\.)?(impl|provider|path|provider\.path|config\.resources)
    )""",
    re.VERBOSE | re.IGNORECASE,
)

#: The names that are an application's own: neither Spark nor a library of ours reads them. They are for drivers that a manifest
#: brings itself (``mainClass``).
OWN_PREFIX = "spark.myapp."

#: What Airflow's own OpenLineage configuration adds to a job on its way, see :mod:`airflow_dcp_provider.hooks.lineage`. Lint
#: refuses it, a backend does not.
_LINEAGE = re.compile(
    r"spark\.openlineage\.((parent|rootParent)(JobNamespace|JobName|RunId)"
    r"|transport\.(transports\.[A-Za-z0-9_-]+\.)?(type|url|endpoint|timeoutInMillis|compression|continueOnFailure))"
)

#: What a manifest says in a field of its own.
_FIELDS = {"spark.driver.memory": "resources.driver.memory"}


@dataclass(frozen=True)
class Refusal:
    """A setting that a manifest may not set so.

    :param name: the setting's.
    :param reason: completes the sentence "the manifest sets it, but ...".
    :param of_value: whether it is the value that is refused.
    """

    name: str
    reason: str
    hint: str
    of_value: bool = False


def refusals(spark_conf: Mapping[str, str], allowed: Iterable[str] = (), *, lineage: bool = False) -> list[Refusal]:
    """Return what is refused of a manifest's ``sparkConf``, sorted by name.

    :param allowed: what the environment allows besides: names, or ``prefix.*``.
    :param lineage: whether what Airflow's own lineage adds is taken.
    """
    entries = tuple(allowed)
    refused: list[Refusal] = []
    for name in sorted(spark_conf, key=str):
        if refusal := _judged(name, spark_conf[name], entries, lineage=lineage, compare=len(refused) < _COMPARED):
            refused.append(refusal)
    return refused


def reserved_settings(spark_conf: Mapping[str, str], allowed: Iterable[str] = ()) -> list[str]:
    """Return the names of a manifest's ``sparkConf`` that are refused, whatever their values, sorted."""
    return [refusal.name for refusal in refusals(spark_conf, allowed) if not refusal.of_value]


def check_job(job: JobSpec, allowed: Iterable[str] = ()) -> None:
    """Refuse a job whose settings or readers' options its manifest may not set.

    :param allowed: what the environment allows besides the list.
    :raises ExecutionError: DCP311, with all that is refused.
    """
    refused = [(f"`{each.name}` in sparkConf", each.reason, each.hint) for each in refusals(job.spark_conf, allowed, lineage=True)]
    for source in job.core_etl.job.sources:
        refused += [
            (f"the option `{each.name}` of the source `{source.name}`", each.reason, each.hint)
            for each in option_refusals(source.type, source.options)
        ]
    if not refused:
        return
    shown = "; ".join(f"{_shown(what)}: {reason}" for what, reason, _ in refused[:_SHOWN])
    more = f"; and {len(refused) - _SHOWN} more" if len(refused) > _SHOWN else ""
    raise ExecutionError(f"{job.manifest_id} sets {shown}{more}", code="DCP311", hint=refused[0][2])


def entries_of(text: str) -> tuple[str, ...]:
    """Return the entries of an ``allowed_spark_conf`` that is one text with commas."""
    return tuple(entry.strip() for entry in text.split(",") if entry.strip())


def entry_fault(entry: str) -> str:
    """Return why ``entry`` cannot stand in ``allowed_spark_conf``, or an empty text."""
    if not _ENTRY.fullmatch(entry) or len(entry) > _LONGEST_NAME:
        return "is no name of a Spark setting, and no such name with `.*` after it"
    if entry in {"spark.sql.*", "spark.hadoop.*"} or (not entry.endswith(".*") and NEVER.fullmatch(entry)):
        return "can never be left to a manifest; set it in `spark_defaults`"
    return ""


def _judged(name: str, value: str, allowed: tuple[str, ...], *, lineage: bool, compare: bool) -> Refusal | None:
    if not isinstance(name, str) or len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        return Refusal(str(name), "this is no name of a Spark setting", "write spark., then letters, digits, `-`, `_` and dots")
    if name in ALLOWED:
        return _judged_value(name, value)
    if name.startswith(OWN_PREFIX) or (lineage and _LINEAGE.fullmatch(name)):
        return _judged_text(name, value)
    never = NEVER.fullmatch(name)
    if not never and any(name == entry or (entry.endswith(".*") and name.startswith(entry[:-1])) for entry in allowed):
        return _judged_text(name, value)
    reason = "only the environment may set it" if never else "it is not among the settings that a manifest may set"
    return Refusal(name, reason, _hint(name, compare=compare))


def _judged_value(name: str, value: str) -> Refusal | None:
    shape = ALLOWED[name]
    if isinstance(value, str) and re.fullmatch(shape, value, re.IGNORECASE | re.ASCII):
        return None
    wish = SHAPES.get(shape) or "one of " + ", ".join(shape.split("|"))
    return Refusal(name, f"its value is not {wish}", f"write {wish}", of_value=True)


def _judged_text(name: str, value: str) -> Refusal | None:
    if isinstance(value, str) and len(value) <= _LONGEST_VALUE and is_plain_text(value):
        return None
    return Refusal(
        name,
        f"its value is longer than {_LONGEST_VALUE} characters, or holds a control character or `${{`",
        "write a short text in one line",
        of_value=True,
    )


def _hint(name: str, *, compare: bool) -> str:
    if name in _FIELDS:
        return f"write `{_FIELDS[name]}` instead"
    if NEVER.fullmatch(name):
        return "remove it; the environment's connection says what it is"
    near = difflib.get_close_matches(name, ALLOWED, 1, cutoff=0.85) if compare else []
    if near:
        return f"did you mean `{near[0]}`?"
    return "remove it, or ask whoever runs the platform to allow it (`allowed_spark_conf` in docs/connections.md)"


def _shown(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text[: _LONGEST_NAME + 100])
