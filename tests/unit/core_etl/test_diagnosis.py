"""Whose fault a chain of Java exceptions is, and what of its words is kept."""

import re
from pathlib import Path

import pytest

from airflow_dcp_provider.core_etl import diagnosis
from airflow_dcp_provider.core_etl.diagnosis import Throwable, diagnose, explained, is_conflict, is_unknown, shorten
from airflow_dcp_provider.core_etl.faults import DriverError
from airflow_dcp_provider.model.error_codes import all_codes
from airflow_dcp_provider.runner.diagnosis_kubernetes import KIND_OF_CODE

SPARK = "org.apache.spark.SparkException"
ABORTED = (
    "Job aborted due to stage failure: Task 0 in stage 1.0 failed 1 times, most recent failure: Lost task 0.0 (h executor driver): "
)


@pytest.mark.parametrize(
    ("chain", "reading", "code", "exit_code"),
    [
        ([(SPARK, "Job aborted"), ("java.lang.OutOfMemoryError", "Java heap space")], False, "DCP340", 3),
        ([(SPARK, ABORTED + "java.lang.OutOfMemoryError: GC overhead limit exceeded\n\tat x")], False, "DCP340", 3),
        ([(SPARK, "Total size of serialized results of 9 tasks (2 GiB) is bigger than spark.driver.maxResultSize 1 GiB")], False, "DCP340", 3),
        ([(SPARK, "ExecutorLostFailure (executor 1 exited): Command exited with code 52")], False, "DCP341", 52),
        ([(SPARK, "The executor with id 2 exited with exit code 137(SIGKILL, possible container OOM).")], False, "DCP341", 137),
        ([(SPARK, "container status: OOMKilled")], False, "DCP341", 137),
        ([("org.apache.hadoop.security.AccessControlException", "Permission denied: user=x")], True, "DCP331", 21),
        ([(SPARK, "x"), ("org.apache.iceberg.exceptions.ForbiddenException", "Forbidden: no")], False, "DCP331", 21),
        ([(SPARK, "Writing job aborted"), ("org.apache.iceberg.exceptions.CommitFailedException", "conflict")], False, "DCP335", 22),
        ([("java.lang.IllegalStateException", "Table UUID does not match: current=a != refreshed=b")], False, "DCP335", 22),
        ([("org.apache.iceberg.exceptions.RESTException", "x"), ("java.net.ConnectException", "Connection refused")], True, "DCP336", 22),
        ([(SPARK, "Cannot find catalog plugin class for catalog 'p': org.apache.iceberg.spark.SparkCatalog")], True, "DCP337", 22),
        ([("org.apache.spark.sql.catalyst.parser.ParseException", "[PARSE_SYNTAX_ERROR] x")], True, "DCP321", 20),
        ([("org.apache.spark.sql.AnalysisException", "[TABLE_OR_VIEW_NOT_FOUND] The table `a` cannot be found")], True, "DCP330", 21),
        ([("org.apache.spark.sql.AnalysisException", "[TABLE_OR_VIEW_NOT_FOUND] The table `a` cannot be found")], False, "DCP322", 20),
        ([(SPARK, "x"), ("org.apache.iceberg.exceptions.NotFoundException", "File does not exist: a")], True, "DCP330", 21),
        ([(SPARK, "x"), ("org.apache.iceberg.exceptions.NotFoundException", "File does not exist: a")], False, "DCP333", 22),
        ([("x.ValidationException", "Cannot delete file where some, but not all, rows match filter x: f")], False, "DCP334", 20),
        ([(SPARK, "[INTERNAL_ERROR] The Spark SQL phase planning failed with an internal error. x")], False, "DCP395", 20),
        ([(SPARK, "header flag can be true or false.")], True, "DCP394", 20),
        ([(SPARK, "header flag can be true or false.")], False, "DCP349", 1),
        ([("java.nio.charset.UnsupportedCharsetException", "nope")], True, "DCP394", 20),
        ([("com.amazonaws.AmazonS3Exception", "Slow Down")], True, "DCP349", 1),
        ([(SPARK, "x"), ("org.apache.spark.SparkArithmeticException", "[DIVIDE_BY_ZERO] Division by zero.")], False, "DCP323", 20),
        ([(SPARK, ABORTED + "org.apache.spark.SparkDateTimeException: [CAST_INVALID_INPUT] The value\n\tat y")], False, "DCP323", 20),
        ([(SPARK, "[SCALAR_SUBQUERY_TOO_MANY_ROWS] More than one row returned by a subquery.")], False, "DCP323", 20),
        ([(SPARK, "[RECURSION_ROW_LIMIT_EXCEEDED] Recursion row limit 1000000 reached.")], False, "DCP323", 20),
        ([(SPARK, "[TASK_WRITE_FAILED] Task failed while writing rows.")], False, "DCP349", 1),
        ([("java.util.regex.PatternSyntaxException", "Unclosed character class near index 0\n[\n^")], False, "DCP323", 20),
        ([("java.util.regex.PatternSyntaxException", "Unclosed character class near index 0\n[\n^")], True, "DCP394", 20),
        ([(SPARK, ABORTED + "java.util.regex.PatternSyntaxException: Unclosed group near index 1\n(\n\tat x")], False, "DCP323", 20),
        ([("java.io.UnsupportedEncodingException", "nope")], False, "DCP323", 20),
        ([(SPARK, ABORTED + "java.lang.RuntimeException: mine\n\tat org.apache.spark.sql.catalyst.expressions.X")], False, "DCP323", 20),
        ([(SPARK, ABORTED + "java.lang.RuntimeException: theirs\n\tat org.apache.parquet.X")], False, "DCP349", 1),
        ([("Py4JError", "Answer from Java side is empty")], False, "DCP342", 1),
        ([("ConnectionRefusedError", "[Errno 111] Connection refused")], False, "DCP342", 1),
        ([("java.lang.NullPointerException", "")], False, "DCP349", 1),
    ],
)  # fmt: skip
def test_whose_fault_it_is(chain: list[tuple[str, str]], reading: bool, code: str, exit_code: int) -> None:
    error = diagnose([Throwable(*link) for link in chain], "sink `out`", reading)
    assert (error.code, error.exit_code) == (code, exit_code)
    assert error.message.startswith("sink `out`: ")
    assert error.hint
    assert code in all_codes()


@pytest.mark.parametrize(
    ("message", "short"),
    [
        (
            "[TABLE_OR_VIEW_NOT_FOUND] The table or view `a` cannot be found. Verify the spelling.\nTo tolerate; line 1 pos 14;\n'Project [*]\n+- 'Unresolved",
            "[TABLE_OR_VIEW_NOT_FOUND] The table or view `a` cannot be found. Verify the spelling. To tolerate (line 1, position 14)",
        ),
        (
            "\n[PARSE_SYNTAX_ERROR] Syntax error at or near 'x'.(line 2, pos 9)\n\n== SQL ==\nSELECT\n---^^^\n",
            "[PARSE_SYNTAX_ERROR] Syntax error at or near 'x' (line 2, position 9)",
        ),
        (ABORTED + "org.apache.spark.SparkException: [DIVIDE_BY_ZERO] Division by zero.\n\tat org.x", "[DIVIDE_BY_ZERO] Division by zero."),
        ("plain", "plain"),
        ("", "SparkException"),
        ("w" * 900, "w" * 500 + "..."),
    ],
)  # fmt: skip
def test_sparks_words_are_kept_and_its_stack_is_not(message: str, short: str) -> None:
    assert shorten(Throwable(SPARK, message)) == short


def test_a_cluster_knows_whose_fault_each_code_of_the_driver_is() -> None:
    """By the numbers: what the driver itself raises, in any of its modules."""
    folder = Path(diagnosis.__file__).parent
    raised = {code for path in folder.glob("*.py") for code in re.findall(r'"(DCP3[2-9]\d)"', path.read_text(encoding="utf-8"))}
    assert raised - set(KIND_OF_CODE) == set()


class CommitFailedException(Exception):  # noqa: N818 -- the name is what counts
    pass


class ValidationException(Exception):  # noqa: N818 -- the name is what counts
    pass


class CommitStateUnknownException(Exception):  # noqa: N818 -- the name is what counts
    pass


def test_conflicts_are_told_from_other_failures() -> None:
    assert is_conflict(CommitFailedException("x"))
    assert is_conflict(ValidationException("Found conflicting files that can contain records matching true"))
    assert not is_conflict(ValidationException("Cannot delete file where some, but not all, rows match filter"))
    assert not is_conflict(ValueError("conflict"))
    assert is_unknown(CommitStateUnknownException("x"))
    assert not is_unknown(CommitFailedException("x"))


def test_what_is_explained_already_stays_as_it_is() -> None:
    inner = DriverError("DCP327", "keys")
    with pytest.raises(DriverError) as caught, explained("outer"):
        raise inner
    assert caught.value is inner
    with pytest.raises(DriverError, match="DCP349 outer: KeyError: 'a'"), explained("outer"):
        raise KeyError("a")
