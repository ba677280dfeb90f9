"""SQL that holds Jinja templates, made readable for an SQL parser: one text for each way through its branches.

In each text, what templates write is in its place as far as it is known without a run; for the rest a word stands. Every character
knows where it comes from.
"""

from __future__ import annotations

import bisect
import datetime as dt
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from airflow_dcp_provider.model.template_values import TemplateFault
from airflow_dcp_provider.model.templates import date_names
from dag_factory.manifest.template_reading import Reading, read_template
from dag_factory.manifest.template_values import Parameters, Unknown, Way, Written

_SAMPLE_DAY = dt.datetime(2013, 1, 5, tzinfo=dt.UTC)
#: A day or month, and a time behind a day, as SQL would take it for a subtraction.
_DATE = re.compile(r"\s*\d{4}-\d\d(-\d\d([T ][\d:.+Z-]*)?)?\s*")
#: What Spark SQL does not read as words and numbers; what is not closed goes to the end.
_QUOTED = re.compile(
    r"""(?<!\w)[rR](?:'[^']*(?:'|\Z)|"[^"]*(?:"|\Z)) | '(?:\\.|[^'\\])*(?:'|\Z) | "(?:\\.|[^"\\])*(?:"|\Z) | `[^`]*(?:`|\Z)
    | --[^\n]* | /\*.*?(?:\*/|\Z)""",
    re.DOTALL | re.VERBOSE,
)


class Origin(NamedTuple):
    """Where a part of an SQL text comes from: its place in the text with templates, and whether only a run knows it."""

    at: int
    start: int
    end: int
    template: bool
    unknown: bool


@dataclass(frozen=True)
class SqlText:
    """SQL without templates, on one way through its branches.

    :param text: the SQL, for a parser.
    :param origins: where each part of it comes from, in order; none when nothing of it comes from a template.
    """

    text: str
    origins: tuple[Origin, ...] = ()

    def origin(self, place: int) -> int:
        """Return where the character at ``place`` comes from; of what a template writes, where the template begins."""
        if not self.origins:
            return place
        part = self.origins[self._number(place)]
        return part.start if part.template else min(part.start + place - part.at, part.end)

    def origin_end(self, end: int) -> int:
        """Return where what ends before ``end`` ends in the text with templates."""
        if not self.origins or not end:
            return end
        part = self.origins[self._number(end - 1)]
        return part.end if part.template else part.start + end - part.at

    def is_unknown(self, start: int, end: int) -> bool:
        """Whether only a run knows some of what stands from ``start`` to ``end``."""
        number = self._number(start)
        while number < len(self.origins) and self.origins[number].at < end:
            if self.origins[number].unknown:
                return True
            number += 1
        return False

    def _number(self, place: int) -> int:
        return max(0, bisect.bisect_right(self.origins, place, key=lambda origin: origin.at) - 1)


@dataclass(frozen=True)
class NeutralSql:
    """SQL without templates.

    :param texts: the SQL on each way through its branches; every branch is in one of them.
    """

    texts: tuple[SqlText, ...]

    @property
    def text(self) -> str:
        """The SQL on the first way."""
        return self.texts[0].text


def neutral_sql(text: str, parameters: Mapping[str, Any], environment: str = "") -> NeutralSql | None:
    """Return ``text`` without its templates, or None when they have a mistake (which the templates' own check reports).

    :param parameters: defaults of the manifest's parameters; a run may be given others.
    :param environment: the environment of the run, where conditions on it are to be decided; empty when it is not known.
    """
    if "{" not in text:
        return NeutralSql((SqlText(text),))
    reading = sql_reading(text, parameters, environment)
    if reading.faults or not reading.ways:
        return None
    return NeutralSql(tuple(dict.fromkeys(_sql_text(way) for way in reading.ways)))


def _sql_text(way: Way) -> SqlText:
    origins, at = [], 0
    for part in way.parts:
        # A part without characters would hide the one at its place.
        if part.text:
            origins.append(Origin(at, part.start, part.end, part.template, part.value is not None))
        at += len(part.text)
    return SqlText(way.text, tuple(origins))


class _Samples:
    """Defaults of parameters, equal when they are written the same."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self.parameters = parameters
        self._written = repr(parameters)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Samples) and self._written == other._written

    def __hash__(self) -> int:
        return hash(self._written)


def sql_reading(text: str, parameters: Mapping[str, Any], environment: str = "") -> Reading:
    """Return what a template may write, see :func:`neutral_sql`. Equal texts are read once."""
    return _reading(text, _Samples(parameters if "params" in text else {}), environment if "environment" in text else "")


@functools.lru_cache(maxsize=2048)
def _reading(text: str, samples: _Samples, environment: str) -> Reading:
    return read_template(text, sample_values(samples.parameters, environment))


def unquoted_dates(text: str, parameters: Mapping[str, Any]) -> tuple[tuple[int, str], ...]:
    """Return place and text of each template that writes a date or time outside of quotes and comments.

    :param parameters: defaults of the manifest's parameters.
    """
    return tuple(
        (part.start, text[part.start : part.end].strip())
        for part, sql, start, quoted in written_values(text, parameters)
        # A date that goes on with a word is part of a name.
        if not quoted and not re.match(r"[\w.]", sql[start - 1 : start]) and _is_date(part)
    )


def _is_date(part: Written) -> bool:
    if part.value is None:
        return bool(_DATE.fullmatch(part.text))
    return not part.value.literal and bool(_DATE.fullmatch(part.value.sample_text or ""))


def written_values(text: str, parameters: Mapping[str, Any]) -> Iterator[tuple[Written, str, int, bool]]:
    """Yield what each template of an SQL text writes, once: the part, all of the SQL, its place there, and whether it is quoted."""
    if "{{" not in text:
        return
    dealt_with: set[tuple[Any, ...]] = set()
    for way in sql_reading(text, parameters).ways:
        sql, at = way.text, 0
        spans = [match.span() for match in _QUOTED.finditer(sql)]
        opens = [start for start, _ in spans]
        for part in way.parts:
            start, at = at, at + len(part.text)
            key = (part.start, part.text, part.value and (part.value.parameters, part.value.literal, part.value.sample_text))
            if not part.template or key in dealt_with:
                continue
            dealt_with.add(key)
            before = bisect.bisect_right(opens, start) - 1
            yield part, sql, start, before >= 0 and opens[before] < start < spans[before][1]


def sample_values(parameters: Mapping[str, Any], environment: str = "") -> dict[str, Any]:
    """Return what is known of every name that templates may use: nearly all is unknown, with a sample of one day.

    :param parameters: defaults of the manifest's parameters.
    :param environment: the environment, where it is known.
    """
    where: Any = environment or Unknown("local")
    days = date_names(_SAMPLE_DAY, _SAMPLE_DAY, _SAMPLE_DAY + dt.timedelta(days=1))
    return {
        **{name: Unknown(value) for name, value in days.items()},
        "run_id": Unknown("sample"),
        "dag_id": Unknown("sample"),
        "environment": where,
        "params": {"environment": where, "parameters": Parameters(parameters)},
        "macros": None,
    }


def template_faults(text: str, parameters: Mapping[str, Any]) -> tuple[tuple[TemplateFault, int], ...]:
    """Return what is wrong with a template that parses, each with its place: what it computes is too large or cannot be written."""
    faults: tuple[tuple[TemplateFault, int], ...] = sql_reading(text, parameters).faults
    return faults
