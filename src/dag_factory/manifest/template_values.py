"""Values of templates that only a run knows, and what a template writes of them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_dcp_provider.model import template_values as values
from airflow_dcp_provider.model.template_values import TemplateFault

#: The mark that nothing is known of a value.
NO_SAMPLE = object()
#: Declared types of parameters whose values are no SQL beside themselves.
_HARMLESS = frozenset({"integer", "number", "boolean"})


@dataclass(frozen=True)
class Unknown:
    """A value that only a run knows.

    :param sample: what it may be, or a mark that nothing is known.
    :param parameters: names of the parameters that it is made of.
    :param literal: whether the filter ``sql`` wrote it.
    """

    sample: Any = NO_SAMPLE
    parameters: frozenset[str] = frozenset()
    literal: bool = False

    @property
    def sample_text(self) -> str | None:
        """What the sample writes, or None."""
        if self.sample is NO_SAMPLE:
            return None
        try:
            return values.text_of(self.sample)
        except TemplateFault:
            return None


@dataclass(frozen=True)
class Mixed:
    """A text of parts, each a known text or :class:`Unknown`."""

    parts: tuple[str | Unknown, ...]

    def unknown(self) -> Unknown:
        """Return the text as one unknown value."""
        texts = [part if isinstance(part, str) else part.sample_text for part in self.parts]
        names = frozenset().union(*(part.parameters for part in self.parts if isinstance(part, Unknown)))
        known = [text for text in texts if text is not None]
        return Unknown("".join(known) if len(known) == len(texts) else NO_SAMPLE, names)


@dataclass(frozen=True)
class Items:
    """A list of which some items are not known."""

    items: tuple[Any, ...]

    def unknown(self) -> Unknown:
        """Return the list as one unknown value."""
        ones = [one_value(item) for item in self.items]
        samples = [each.sample if isinstance(each, Unknown) else each for each in ones]
        names = frozenset[str]().union(*(each.parameters for each in ones if isinstance(each, Unknown)))
        return Unknown(NO_SAMPLE if any(sample is NO_SAMPLE for sample in samples) else samples, names)


@dataclass(frozen=True)
class Parameters:
    """The map ``params.parameters``: the names of a run are not known."""

    samples: Mapping[str, Any]

    def unknown(self, name: str) -> Unknown:
        """Return one parameter."""
        sample = self.samples.get(name, NO_SAMPLE)
        if isinstance(sample, Mapping):
            # A parameter that says what it is: a run's value of it is checked.
            if sample.get("type") in _HARMLESS:
                return Unknown(_plain(sample.get("default", NO_SAMPLE)))
            sample = sample.get("default", NO_SAMPLE)
        return Unknown(_plain(sample), frozenset({name}))


def _plain(sample: Any) -> Any:
    try:
        return NO_SAMPLE if sample is NO_SAMPLE else values.plain(sample)
    except (TemplateFault, RecursionError):
        return NO_SAMPLE


@dataclass(frozen=True)
class Written:
    """A part of what a template writes.

    :param text: the text; of an unknown value a word or literal that stands for it.
    :param start: where it comes from in the template's text, ``end`` behind it.
    :param template: whether a template writes it; otherwise it stands there as it is.
    :param value: what is not known of it, or None.
    """

    text: str
    start: int
    end: int
    template: bool = False
    value: Unknown | None = None


@dataclass(frozen=True)
class Way:
    """One way through a template's branches, with everything that it writes."""

    parts: tuple[Written, ...]

    @functools.cached_property
    def text(self) -> str:
        """The whole text."""
        return "".join(part.text for part in self.parts)


def one_value(value: Any) -> Any:
    """Return a text, list or map of which parts are unknown as one unknown value."""
    if isinstance(value, Parameters):
        return Unknown()
    if type(value) is dict and any(isinstance(item, Parameters | Unknown) for item in value.values()):
        samples = {key: item.sample if isinstance(item, Unknown) else item for key, item in value.items()}
        return Unknown({key: None if isinstance(item, Parameters) or item is NO_SAMPLE else item for key, item in samples.items()})
    return value.unknown() if isinstance(value, Mixed | Items) else value


def stand_in(value: Unknown) -> str:
    """Return what stands for an unknown value in the text."""
    if not value.literal:
        return "j_"
    text = value.sample_text or "NULL"
    # An empty text: also inside of quotes, which are an error of their own, it leaves SQL that can be read.
    return "''" if text.startswith("'") else text
