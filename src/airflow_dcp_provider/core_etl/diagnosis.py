"""Explaining what Spark, Iceberg and Java throw: whose fault it is, in one sentence that keeps Spark's own words.

:func:`throwables` reads the chain of causes through py4j; :func:`diagnose` is a pure decision on it, so that it can be tested
without Spark. The stack is for the log; the sentence is for the result.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Iterator, List, Optional, Sequence, Tuple

from .faults import (
    EXIT_ACCESS,
    EXIT_CONTAINER_MEMORY,
    EXIT_CRASH,
    EXIT_EXECUTOR_MEMORY,
    EXIT_HEAP,
    EXIT_PLATFORM,
    EXIT_USER,
    DriverError,
)

#: A chain of causes that is longer than this is cyclic.
_CHAIN_LIMIT = 20

#: How much of the beginning and of the end of a message is looked at, in characters.
_MESSAGE_HALF = 5_000
_TEXT_LIMIT = 500


@dataclass(frozen=True)
class Throwable:
    """One link of a chain of causes: the class's full name and its message."""

    kind: str
    message: str

    @property
    def name(self) -> str:
        """The class's name without its package."""
        return self.kind.rpartition(".")[2]


def bounded(message: str) -> str:
    """Return a message, without its middle when it is long: SQL can make up some that take the square of their length to read."""
    return message if len(message) <= 2 * _MESSAGE_HALF else f"{message[:_MESSAGE_HALF]}\n\n{message[-_MESSAGE_HALF:]}"


def throwables(error: BaseException) -> Tuple[Throwable, ...]:
    """Return ``error`` and its causes, outermost first; Java's where there are any."""
    java = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    if java is None:
        return (Throwable(type(error).__name__, bounded(str(error))),)
    chain: List[Throwable] = []
    while java is not None and len(chain) < _CHAIN_LIMIT:
        chain.append(Throwable(java.getClass().getName(), bounded(java.getMessage() or "")))
        java = java.getCause()
    return tuple(chain)


@dataclass(frozen=True)
class _Rule:
    """Matches a chain in which some link has one of ``kinds`` (class names) or a message that ``text`` finds."""

    code: str
    exit_code: int
    kinds: Tuple[str, ...] = ()
    text: str = ""
    hint: str = ""

    def find(self, chain: Sequence[Throwable]) -> Optional[Throwable]:
        for link in reversed(chain):
            if link.name in self.kinds or (self.text and re.search(self.text, link.message)):
                return link
        return None


#: In order: the first that matches decides.
_RULES = (
    _Rule(
        "DCP342",
        EXIT_CRASH,
        ("Py4JNetworkError", "ConnectionRefusedError", "ConnectionResetError", "BrokenPipeError"),
        r"Answer from Java side is empty",
        "the last lines of the log say why; mostly memory ran out (exit codes 3, 52, 137) or somebody ended the process",
    ),
    _Rule(
        "DCP340",
        EXIT_HEAP,
        ("OutOfMemoryError", "SparkOutOfMemoryError"),
        r"java\.lang\.OutOfMemoryError|Total size of serialized results .* bigger than spark\.driver\.maxResultSize",
        "give the driver (or on one machine the whole job) more memory, or read less",
    ),
    _Rule(
        "DCP341",
        EXIT_EXECUTOR_MEMORY,
        text=r"(?i)(exit code|exit status|exited with code)\D{0,4}52\b",
        hint="give the executors more memory, or more of them",
    ),
    _Rule(
        "DCP341",
        EXIT_CONTAINER_MEMORY,
        text=r"(?i)OOMKilled|exceeding (physical )?memory limits|(exit code|exit status|exited with code)\D{0,4}137\b",
        hint="give the executors more memory or memory overhead, or more of them",
    ),
    _Rule(
        "DCP331",
        EXIT_ACCESS,
        ("AccessControlException", "AccessDeniedException", "ForbiddenException", "NotAuthorizedException", "SecurityException"),
        r"(?i)\bAccess ?Denied\b|Permission denied|\b403\b.*Forbidden",
        "ask for the right to the table or path, or check the connection's credentials",
    ),
    _Rule(
        "DCP335",
        EXIT_PLATFORM,
        ("CommitFailedException", "CommitStateUnknownException"),
        r"Table UUID does not match",
        hint="other writers keep changing the same table; run again, or let them run one after the other",
    ),
    _Rule(
        "DCP337",
        EXIT_PLATFORM,
        ("CatalogNotFoundException", "ClassNotFoundException", "NoClassDefFoundError"),
        r"Cannot find catalog plugin|\[CATALOG_NOT_FOUND\]|\[REQUIRES_SINGLE_PART_NAMESPACE\]"
        r"|\[DATA_SOURCE_NOT_FOUND\].*iceberg|Package org\.apache\.iceberg"
        r"|MERGE INTO TABLE is not supported",
        "the environment must bring Iceberg's jar and configure the catalog alias; the manifest is not to blame",
    ),
    _Rule(
        "DCP336",
        EXIT_PLATFORM,
        (
            "ConnectException",
            "HttpHostConnectException",
            "UnknownHostException",
            "SocketTimeoutException",
            "SocketException",
            "NoHttpResponseException",
            "RESTException",
            "ServiceFailureException",
            "ServiceUnavailableException",
            "SdkClientException",
        ),
        hint="check that the catalog and the storage are up and reachable from where Spark runs",
    ),
    _Rule(
        "DCP334",
        EXIT_USER,
        text="Cannot delete file where some, but not all, rows match filter",
        hint="the table has files from before its partitions were changed, which hold rows of several partitions;"
        " rewrite them in the present ones (CALL <catalog>.system.rewrite_data_files), then run again",
    ),
    _Rule(
        "DCP321", EXIT_USER, ("ParseException", "IcebergParseException"), hint="correct the SQL at the position that Spark names"
    ),
    _Rule(
        "DCP395",
        EXIT_USER,
        text=r"\[INTERNAL_ERROR\] The Spark SQL phase (analysis|optimization|planning) failed",
        hint="this version of Spark cannot plan such a query, and another attempt would not change that; write it another way",
    ),
)

#: Missing tables and paths: the user's query names them wrongly, or a source is not there.
_MISSING = _Rule(
    "DCP330",
    EXIT_ACCESS,
    ("NoSuchTableException", "NoSuchNamespaceException", "NoSuchDatabaseException", "NotFoundException", "FileNotFoundException"),
    r"\[(TABLE_OR_VIEW_NOT_FOUND|PATH_NOT_FOUND|SCHEMA_NOT_FOUND|FAILED_READ_FILE\.FILE_NOT_EXIST)\]|Path does not exist",
    "make the table or path first, or correct its name",
)
_ANALYSIS = _Rule(
    "DCP322",
    EXIT_USER,
    ("AnalysisException", "ExtendedAnalysisException", "NoSuchTableException", "NoSuchNamespaceException"),
    hint="correct the SQL; a query sees the job's sources and the transformations above it, by their names",
)
#: A table or path that was there when the run began.
_GONE = _Rule(
    "DCP333",
    EXIT_PLATFORM,
    ("NotFoundException", "FileNotFoundException"),
    r"\[FAILED_READ_FILE\.FILE_NOT_EXIST\]",
    "another job removed files of the snapshot that this run reads; keep snapshots for longer than a run takes, and run again",
)
#: What Spark says of a reader's options, and of a file that is not what it is read as, when it looks at a source.
_OPTIONS = _Rule(
    "DCP394",
    EXIT_USER,
    ("IllegalCharsetNameException", "PatternSyntaxException", "TextParsingException", "UnsupportedCharsetException"),
    r"flag can be true or false|\.TextParsingException: ",
    "correct the source's `options`, its `type` or the file; Spark names what it does not understand",
)
_NOT_OFFERED = _Rule(
    "DCP344",
    EXIT_USER,
    text=r"\[UNRESOLVED_ROUTINE\][^`]{0,60}(`\w+`\.)*`(?i:reflect|java_method|try_reflect|xpath\w*|(from|to|schema_of)_(avro|protobuf))`",
    hint="functions that reach Java, classes or addresses are not offered; write it with others, or with filters and joins",
)
_DATA = _Rule(
    "DCP323",
    EXIT_USER,
    (
        "SparkRuntimeException",
        "SparkArithmeticException",
        "SparkDateTimeException",
        "SparkNumberFormatException",
        "SparkUpgradeException",
        "SparkArrayIndexOutOfBoundsException",
        "SparkNoSuchElementException",
        "SparkUnsupportedOperationException",
        "SparkIllegalArgumentException",
        "ArithmeticException",
        "DateTimeException",
        "NumberFormatException",
        "ValidationException",
        "IllegalArgumentException",
    ),
    # raise_error and assert_true throw a bare RuntimeException, from within a generated expression.
    r"Exception: \[[A-Z_.]+\]|java\.lang\.RuntimeException: [^\n]*\n\tat org\.apache\.spark\.sql\.catalyst\.expressions"
    # Faults of a query that Spark throws as its most general exception.
    r"|\A\[(SCALAR_SUBQUERY_TOO_MANY_ROWS|RECURSION_(LEVEL|ROW)_LIMIT_EXCEEDED)\]",
    "the query met a value that it cannot handle; the message says which rule it broke",
)
#: What Java says of a query's patterns and character sets; of a source they are its options.
_WORDS = _Rule(
    "DCP323",
    EXIT_USER,
    ("IllegalCharsetNameException", "PatternSyntaxException", "UnsupportedCharsetException", "UnsupportedEncodingException"),
    r"\bjava\.(util\.regex\.Pattern|nio\.charset\.|io\.UnsupportedEncoding)\w*Exception: ",
    "correct the pattern, or the name of the character set, that the query gives to a function",
)


def diagnose(chain: Sequence[Throwable], where: str, reading: bool = False) -> DriverError:
    """Return the error to report for a chain of causes.

    :param where: what was being done, to begin the sentence, for example ``transformation `daily` ``.
    :param reading: whether a source was being read; then a missing table is the table's fault (exit 21), else the SQL's (20).
    """
    if reading:
        rules: Tuple[_Rule, ...] = (*_RULES, _NOT_OFFERED, _MISSING, _ANALYSIS, _DATA, _OPTIONS)
    else:
        rules = (*_RULES, _NOT_OFFERED, _ANALYSIS, _GONE, _WORDS, _DATA)
    for rule in rules:
        link = rule.find(chain)
        if link is not None:
            return DriverError(rule.code, f"{where}: {shorten(link)}", rule.hint, rule.exit_code)
    last = chain[-1]
    return DriverError("DCP349", f"{where}: {last.name}: {shorten(last)}", "the driver's log has the whole stack", EXIT_CRASH)


_POSITION = re.compile(r"[;.]?\s*\(?line (\d+),? pos(?:ition)?\.? (\d+)\)?[;.]?")


def shorten(link: Throwable) -> str:
    """Return a throwable's message without stack, plan and repeated query, its error class and position kept."""
    text = link.message.strip()
    if text.startswith("Job aborted"):
        # The real message is in the last line before the stack of the task that failed.
        inner = re.search(r"\w(?:Exception|Error): ([^\n]+)", text)
        text = inner.group(1) if inner else text
    text = re.split(r"\n\s*(?:== SQL|== DataFrame|\tat |at [\w.$]+\(|JVM stacktrace|'[A-Z]|[+:]- )|\n\n", text, maxsplit=1)[0]
    position = _POSITION.search(text)
    if position:
        text = f"{text[: position.start()].rstrip('.; ')} (line {position.group(1)}, position {position.group(2)})"
    text = " ".join(text.split()) or link.name
    return text if len(text) <= _TEXT_LIMIT else f"{text[:_TEXT_LIMIT]}..."


@contextmanager
def explained(where: str, reading: bool = False) -> Iterator[None]:
    """Turn whatever is thrown inside into a :class:`DriverError` that begins with ``where``."""
    try:
        yield
    except DriverError:
        raise
    except Exception as error:
        raise diagnose(throwables(error), where, reading) from error


def is_conflict(error: BaseException) -> bool:
    """Whether a commit failed only because another writer was faster, so that trying again may help."""
    return any(
        link.name == "CommitFailedException" or (link.name == "ValidationException" and "conflict" in link.message.lower())
        for link in throwables(error)
    )


def is_unknown(error: BaseException) -> bool:
    """Whether it is not known if a commit took place."""
    return any(link.name == "CommitStateUnknownException" for link in throwables(error))


def java_stack(error: BaseException) -> Any:
    """Return the Java stack of ``error`` as text, or None."""
    java = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    if java is None:
        return getattr(error, "stackTrace", None)
    from pyspark import SparkContext

    context = SparkContext._active_spark_context
    return context._jvm.org.apache.spark.util.Utils.exceptionString(java) if context else str(error)
