"""Which options of Spark's readers a source may have: a list for each type of source.

Spark hands every option on to Hadoop's configuration, where names such as ``fs.s3a.aws.credentials.provider`` or ``fs.x.impl`` load
classes and texts such as ``${env.X}`` are replaced. So only the readers' own options are taken, by their names. ``compression`` and
``codec`` are left out: for reading they mean nothing, and Spark loads a class of the name that they give.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from airflow_dcp_provider.model.names import is_plain_text

#: Of every reader of files.
_FILES = """
basePath ignoreCorruptFiles ignoreMissingFiles modifiedAfter modifiedBefore pathGlobFilter recursiveFileLookup
"""

#: Of readers of texts: what a value, a date or a broken row looks like.
_TEXTS = """
charset columnNameOfCorruptRecord dateFormat enableDateTimeParsingFallback encoding lineSep locale mode multiLine
samplingRatio singleVariantColumn timeZone timestampFormat timestampNTZFormat
"""

_BY_TYPE = {
    "csv": _FILES
    + _TEXTS
    + """
charToEscapeQuoteEscaping columnPruning comment delimiter emptyValue enforceSchema escape header ignoreLeadingWhiteSpace
ignoreTrailingWhiteSpace inferSchema inputBufferSize maxCharsPerColumn maxColumns nanValue negativeInf nullValue positiveInf
preferDate quote sep unescapedQuoteHandling
""",
    "json": _FILES
    + _TEXTS
    + """
allowBackslashEscapingAnyCharacter allowComments allowNonNumericNumbers allowNumericLeadingZeros allowSingleQuotes
allowUnquotedControlChars allowUnquotedFieldNames dropFieldIfAllNull inferTimestamp maxNestingDepth maxNumLen maxStringLen
prefersDecimal primitivesAsString
""",
    "parquet": _FILES + "datetimeRebaseMode int96RebaseMode mergeSchema",
    # Not the options of streams, and none of writes.
    "iceberg": """
as-of-timestamp batch-size branch end-snapshot-id end-timestamp file-open-cost locality lookback snapshot-id split-size
start-snapshot-id start-timestamp tag vectorization-enabled
""",
}

#: Source type -> its options; Spark does not tell their names apart by capitals.
OPTIONS: dict[str, tuple[str, ...]] = {kind: tuple(sorted(names.split())) for kind, names in _BY_TYPE.items()}
_KNOWN = {kind: frozenset(name.lower() for name in names) for kind, names in OPTIONS.items()}

#: A single character that rows are taken apart with; that may be any.
_SEPARATORS = frozenset({"sep", "delimiter", "quote", "escape", "comment", "linesep", "chartoescapequoteescaping"})

_LONGEST_VALUE = 1000

#: For how many refused names the nearest known one is looked for.
_COMPARED = 20


@dataclass(frozen=True)
class OptionRefusal:
    """An option that a source may not have so.

    :param reason: completes the sentence "the source has it, but ...".
    :param of_value: whether it is the value that is refused.
    """

    name: str
    reason: str
    hint: str
    of_value: bool = False


def option_refusals(source_type: str, options: Mapping[str, str]) -> list[OptionRefusal]:
    """Return what is refused of a source's ``options``, sorted by name; of a type that is unknown, all of them."""
    refused: list[OptionRefusal] = []
    for name in sorted(options, key=str):
        if refusal := _judged(source_type, name, options[name], compare=len(refused) < _COMPARED):
            refused.append(refusal)
    return refused


def _judged(source_type: str, name: str, value: str, *, compare: bool) -> OptionRefusal | None:
    if not isinstance(name, str) or name.lower() not in _KNOWN.get(source_type, frozenset()):
        known = OPTIONS.get(source_type, ())
        near = difflib.get_close_matches(str(name)[:100], known, 1) if compare else []
        hint = f"did you mean `{near[0]}`?" if near else f"the options are: {', '.join(known)}"
        return OptionRefusal(str(name), f"a source of type {source_type} has no such option here", hint)
    if name.lower() in _SEPARATORS and isinstance(value, str) and len(value) <= 8 and "${" not in value:
        return None
    if isinstance(value, str) and len(value) <= _LONGEST_VALUE and is_plain_text(value):
        return None
    reason = f"its value is longer than {_LONGEST_VALUE} characters, or holds a control character or `${{`"
    return OptionRefusal(name, reason, "write a short text", of_value=True)
