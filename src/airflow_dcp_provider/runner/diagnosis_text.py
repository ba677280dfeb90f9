"""Reading a driver's log: secrets masked, noise removed, and the exception that ended the program. Pure functions on text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from airflow_dcp_provider.core_etl.text import escaped

#: Longest sentence, hint and log tail that a failure carries, in characters: it travels through the store and an error.
SENTENCE_LIMIT = 600
HINT_LIMIT = 400
TAIL_LIMIT = 16_000

#: Longest line of a log that is looked at, in characters; Spark logs whole query plans in one line.
_LINE_LIMIT = 2_000

#: Longest text that secrets are looked for in; a driver can report an error of any length.
_MASKED_LIMIT = 20_000

#: How far before that limit a text is cut at a blank, so that no half of a secret is left, which nothing would know for one.
_WORD_LIMIT = 4_000

#: How many frames of each stack a tail shows.
_STACK_DEPTH = 5

#: How many links of a chain of causes are read.
_CHAIN_LIMIT = 30

MASK = "***"

#: The end of a setting's name from which on its value is nobody's business; what stands before it does not matter.
_TELLTALE = r"(?:password|passwd|secret|token|credential|(?:api|access|account|private)[_-]?key|signature)[\w.\-]{0,40}"
#: What must not be shown, and what stands in its place.
_SECRETS = (
    (re.compile(r"(?i)\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=\-]{8,}"), rf"\1\2{MASK}"),
    (re.compile(r"(?i)(\bauthorization[\"']?\s*[:=]\s*[\"']?)(?!bearer\b|basic\b)[^\s\"',;]+"), rf"\1{MASK}"),
    (re.compile(rf"(?i)({_TELLTALE}[\"']?\s*(?:[:=]|->)\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&)\]}}]+)"), rf"\1{MASK}"),
    (re.compile(r"(?i)([?&](?:sig|x-amz-signature|x-amz-credential)=)[^&\s\"']+"), rf"\1{MASK}"),
    (re.compile(r"([a-z][a-z0-9+.\-]{0,30}://)[^/\s:@]*:[^/\s@]+@"), rf"\1{MASK}@"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"), MASK),
    # Not \b, which is at each dash: looking from all of them to the end of what belongs to it takes quadratic time.
    (re.compile(r"(?<![A-Za-z0-9_\-])eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*)?"), MASK),
)

#: A class name that ends as exceptions do, after what may stand before it in a log, and its message.
_THROWN = re.compile(
    r"^(?:Caused by: |: |Exception in thread \"[^\"]*\" |[\d/: .TZ\-]{0,40}(?:ERROR|FATAL)\s+[\w$.\[\]]+:?\s*-?\s*)?"
    r"((?:[A-Za-z_$][\w$]*\.)*[A-Z][\w$]*(?:Error|Exception|Interrupt|Exit|Failure))(?::\s?(.*)|\s*)$"
)
#: A stage's failure names the exception of the task in the middle of its line.
_TASK_THROWN = re.compile(
    r"\(TID \d+\) \([^)]*executor [^)]*\): ((?:[A-Za-z_$][\w$]*\.)*[A-Z][\w$]*(?:Error|Exception))(?::\s?(.*))?$"
)
_BLOCK = re.compile(r"^(?:Traceback \(most recent call last\):|Exception in thread \"main\" )")
_JAVA_FRAME = re.compile(r"^\s+(?:at [\w$.<>/]+\(|\.\.\. \d+ more)")
_FRAME = re.compile(r"^\s+(?:at [\w$.<>/]+\(|\.\.\. \d+ more)|^\s+File \"")
_LOG_LINE = re.compile(r"^\d{2,4}[/-]\d{2}[/-]\d{2}[ T]\d{2}:\d{2}:\d{2}")
_END = re.compile(r"Traceback|Driver stacktrace")
_PYTHON_GATEWAY = re.compile(r"^An error occurred while calling [\w$.:]+")


@dataclass(frozen=True)
class Thrown:
    """One exception that a log shows: the class's full name and its message (first lines, without the stack)."""

    kind: str
    message: str

    @property
    def name(self) -> str:
        """The class's name without its package."""
        return self.kind.rpartition(".")[2]

    def __str__(self) -> str:
        return f"{self.name}: {self.message}" if self.message else self.name


def masked(text: str) -> str:
    """Return ``text`` with passwords, tokens, keys and credentials replaced by ``***``; what is very long is cut before."""
    if len(text) > _MASKED_LIMIT:
        text = f"{_cut(text)}..."
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _cut(text: str) -> str:
    """Return the beginning of ``text``, which ends with a whole word where words are not very long."""
    head = text[:_MASKED_LIMIT]
    end = max(head.rfind(" ", -_WORD_LIMIT), head.rfind("\n", -_WORD_LIMIT))
    return head[: end if end > 0 else _MASKED_LIMIT - _WORD_LIMIT]


def one_line(text: str, limit: int = SENTENCE_LIMIT) -> str:
    """Return ``text`` masked, in one line, without control characters and with at most ``limit`` characters."""
    plain = "".join(char if char.isprintable() else " " for char in masked(text[: limit * 8]))
    line = escaped(" ".join(plain.split()))
    return line if len(line) <= limit else f"{line[: limit - 3].rstrip()}..."


def bounded_tail(lines: Iterable[str], count: int) -> str:
    """Return the last ``count`` lines, masked, each and all of them bounded; whole lines fall away at the beginning first."""
    kept = [escaped(masked(line[:_LINE_LIMIT])) for line in list(lines)[-count:]]
    while len(kept) > 1 and sum(len(line) + 1 for line in kept) > TAIL_LIMIT:
        kept.pop(0)
    return "\n".join(kept)


def without_deep_stacks(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines without the depths of Java's stacks, which would push the lines that matter out of a short tail."""
    depth = 0
    for line in lines:
        depth = depth + 1 if _JAVA_FRAME.match(line) else 0
        if depth <= _STACK_DEPTH:
            yield line


def last_chain(log: str) -> tuple[Thrown, ...]:
    """Return the exceptions of the last uncaught failure in ``log``, outermost first; empty when it shows none.

    Python's last word stands at the end of its traceback, followed by Java's chain of causes; py4j's own wrapping is left out.
    """
    lines = [line[:_LINE_LIMIT] for line in log.splitlines()]
    starts = [number for number, line in enumerate(lines) if _BLOCK.match(line)]
    chain: list[Thrown] = []
    for number in range(starts[-1] if starts else 0, len(lines)):
        thrown = _thrown(lines, number, in_block=bool(starts))
        if thrown is not None:
            chain.append(thrown)
    useful = [link for link in chain if not _is_gateway_noise(link)]
    return tuple(useful[-_CHAIN_LIMIT:])


def _thrown(lines: list[str], number: int, *, in_block: bool) -> Thrown | None:
    match = _TASK_THROWN.search(lines[number]) or _THROWN.match(lines[number])
    if match is None:
        return None
    # What a running program logs and survives is no uncaught failure; without a traceback it is all that there is.
    if in_block and _LOG_LINE.match(lines[number]):
        return None
    message = [match.group(2) or ""]
    for line in lines[number + 1 : number + 12]:
        if (
            _FRAME.match(line)
            or _LOG_LINE.match(line)
            or _THROWN.match(line)
            or line.startswith(("Traceback", "Driver stacktrace"))
        ):
            break
        message.append(line)
    return Thrown(match.group(1), "\n".join(message).rstrip())


def _is_gateway_noise(link: Thrown) -> bool:
    return link.name in {"Py4JJavaError", "Py4JError"} and bool(_PYTHON_GATEWAY.match(link.message))
