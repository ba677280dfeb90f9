"""Options that SQL gives to functions which read and write JSON, CSV and XML, checked before the query is analysed.

They are those of Spark's readers. Some name a class, which Spark then loads, or a file or address, which it opens, and that already
while it analyses a query. So only what tells how a text is written may be given, and in a form in which it can be read here.
"""

from __future__ import annotations

import re
from typing import Any, Iterator

from .faults import DriverError

_OPTIONS = """
allowBackslashEscapingAnyCharacter allowComments allowNonNumericNumbers allowNumericLeadingZeros allowSingleQuotes
allowUnquotedControlChars allowUnquotedFieldNames arrayElementName attributePrefix charToEscapeQuoteEscaping charset
columnNameOfCorruptRecord columnPruning comment dateFormat declaration delimiter dropFieldIfAllNull emptyValue
enableDateTimeParsingFallback encoding enforceSchema escape escapeQuotes excludeAttribute header ignoreLeadingWhiteSpace
ignoreNamespace ignoreNullFields ignoreSurroundingSpaces ignoreTrailingWhiteSpace indent inferSchema inferTimestamp
lineSep locale maxCharsPerColumn maxColumns maxNestingDepth maxNumLen maxStringLen mode multiLine nanValue negativeInf
nullValue positiveInf preferDate prefersDecimal pretty primitivesAsString quote quoteAll rootTag rowTag samplingRatio
sep singleVariantColumn timeZone timestampFormat timestampNTZFormat treatEmptyValuesAsNulls unescapedQuoteHandling
validateName valueTag wildcardColName writeNonAsciiCharacterAsCodePoint
"""

#: Spark does not tell their names apart by capitals.
ALLOWED_OPTIONS = frozenset(name.lower() for name in _OPTIONS.split())

#: Functions with options, and where these stand among their arguments.
_PLACES = {f"{verb}_{form}": place for verb, place in (("from", 2), ("to", 1), ("schema_of", 1)) for form in ("csv", "json", "xml")}

#: Most queries hold nothing of that, and need not be looked through. `IDENTIFIER` can make up the name of a function.
_MENTIONED = re.compile(r"(from|to|schema_of)_(csv|json|xml)|identifier", re.IGNORECASE)

_CATALYST = "org.apache.spark.sql.catalyst."
_CALL = f"{_CATALYST}analysis.UnresolvedFunction"
_MADE_UP = (f"{_CATALYST}analysis.ExpressionWithUnresolvedIdentifier", f"{_CATALYST}analysis.PlanWithUnresolvedIdentifier")
_LITERAL = f"{_CATALYST}expressions.Literal"
_WINDOWS = f"{_CATALYST}plans.logical.WithWindowDefinition"
_SUBQUERIES = frozenset(f"{_CATALYST}expressions.{name}" for name in ("Exists", "ListQuery", "ScalarSubquery", "LateralSubquery"))


def check_options(parsed: Any, text: str, what: str) -> None:
    """Check the options in a parsed query or expression.

    :param parsed: Spark's plan or expression, not analysed.
    :param text: what it was parsed from.
    :param what: names it, to begin the message.
    :raises DriverError: DCP344.
    """
    if not _MENTIONED.search(text):
        return
    for node in _nodes(parsed):
        kind = node.getClass().getName()
        if kind in _MADE_UP:
            raise _refused(f"{what} makes up a name with IDENTIFIER", "write the name itself")
        if kind == _CALL:
            _check_call(node, what)


def _check_call(call: Any, what: str) -> None:
    name = str(call.nameParts().last()).lower()
    arguments = _items(call.arguments())
    place = _PLACES.get(name)
    if place is None or len(arguments) <= place:
        return
    options = arguments[place]
    parts = _items(options.arguments()) if options.getClass().getName() == _CALL else []
    is_map = bool(parts) and str(options.nameParts().mkString(".")).lower() == "map"
    if not is_map or any(each.getClass().getName() != _LITERAL for each in parts):
        raise _refused(f"{what} computes options of `{name}`", "write them out: map('name', 'value')")
    for key in parts[::2]:
        option = str(key.toString())
        if option.lower() not in ALLOWED_OPTIONS:
            raise _refused(f"{what} gives `{name}` the option `{option}`", "give options that tell how the text is written")


def _refused(message: str, hint: str) -> DriverError:
    return DriverError("DCP344", f"{message}, which is not offered; nothing was computed", hint)


def _nodes(root: Any) -> Iterator[Any]:
    """Yield every plan and expression below ``root``."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        kind = node.getClass().getName()
        waiting += [*_items(node.children()), *_items(node.innerChildren())]
        if _is_plan(node):
            waiting += _items(node.expressions())
        if kind == _WINDOWS:
            waiting += _items(node.windowDefinitions().values().toSeq())
        if kind in _SUBQUERIES:
            waiting.append(node.plan())


def _is_plan(node: Any) -> bool:
    kind = node.getClass()
    while kind is not None and kind.getName() != f"{_CATALYST}plans.QueryPlan":
        kind = kind.getSuperclass()
    return kind is not None


def _items(sequence: Any) -> Any:
    return [sequence.apply(index) for index in range(sequence.size())]
