"""Appending happens once for a run; merging twice leaves the same table."""

from .conftest import DAY, SPARK, Lake

pytestmark = SPARK


def test_an_append_happens_once_for_its_run(lake: Lake) -> None:
    first = lake.run("SELECT 1 AS id", mode="append", partition_by=["ds"])
    assert (first.result, first.partition) == ("written", f"ds={DAY}")
    lake.run("SELECT 2 AS id", mode="append", partition_by=["ds"], run_key="dag/other/-1", execution_id="execution-2")
    later = lake.run("SELECT 3 AS id", mode="append", partition_by=["ds"], execution_id="execution-3")
    assert (later.result, later.snapshot_id) == ("no-change", None)
    assert str(first.snapshot_id) in later.reason
    assert lake.rows("id") == [(1,), (2,)]


def test_a_later_attempt_finds_what_an_earlier_one_appended(lake: Lake) -> None:
    first = lake.run("SELECT id FROM range(3)", mode="append")
    second = lake.run("SELECT id FROM range(3)", mode="append", attempt=2)
    assert (second.result, second.snapshot_id, second.rows) == ("written", first.snapshot_id, 3)
    assert "attempt 1 of this execution" in second.reason
    assert len(lake.rows()) == 3


def test_an_append_that_was_rolled_back_is_made_again(lake: Lake) -> None:
    before = lake.run("SELECT 0 AS id", mode="append", run_key="dag/other/-1", execution_id="before")
    lake.run("SELECT 1 AS id", mode="append")
    lake.spark.sql(f"CALL pedregal.system.rollback_to_snapshot('lake.{lake.table}', {before.snapshot_id})")
    again = lake.run("SELECT 2 AS id", mode="append", execution_id="execution-2")
    assert (again.result, again.previous_snapshot_id) == ("written", before.snapshot_id)
    assert lake.rows() == [(0,), (2,)]
    # What came after it does not hide it.
    lake.run("SELECT 3 AS id", mode="append", run_key="dag/third/-1", execution_id="execution-3")
    assert lake.run("SELECT 4 AS id", mode="append", execution_id="execution-4").result == "no-change"


def test_an_append_to_a_branch_is_none_to_the_table(lake: Lake) -> None:
    lake.run("SELECT 0 AS id", mode="append", run_key="dag/other/-1", execution_id="before")
    lake.spark.sql(f"ALTER TABLE {lake.name} CREATE BRANCH aside")
    rows = lake.spark.sql("SELECT 1 AS id").writeTo(f"{lake.name}.branch_aside")
    rows.option("snapshot-property.dcp.run", "dag/run/-1:out").append()
    assert lake.run("SELECT 1 AS id", mode="append").result == "written"
    assert lake.rows() == [(0,), (1,)]


def test_two_sinks_of_a_run_may_append_to_one_table(lake: Lake) -> None:
    document = lake.spec("SELECT 1 AS id", mode="append")
    document["sinks"].append({**document["sinks"][0], "name": "second"})
    for _ in range(2):
        lake.run_spec(document)
    assert lake.rows() == [(1,), (1,)]


def test_an_empty_append_changes_nothing(lake: Lake) -> None:
    assert lake.run("SELECT 1 AS id WHERE false", mode="append").result == "no-change"
    assert not lake.exists()


def test_a_merge_updates_and_inserts_and_may_be_repeated(lake: Lake) -> None:
    query = "SELECT * FROM VALUES (1, 'a'), (2, 'b'), (NULL, 'none') AS t(id, word)"
    lake.run(query, mode="merge", merge_keys=["id"])
    change = "SELECT * FROM VALUES (2, 'B'), (3, 'c'), (NULL, 'NONE') AS t(id, word)"
    for attempt in (1, 2):
        done = lake.run(change, mode="merge", merge_keys=["id"], execution_id="execution-2", attempt=attempt)
        assert (done.result, done.rows) == ("written", 3)
        assert lake.rows() == [(1, "a"), (2, "B"), (3, "c"), (None, "NONE")]
    newest = lake.snapshots()[-1]
    assert (newest["dcp.execution-id"], newest["dcp.attempt"], newest["dcp.rows"]) == ("execution-2", "2", "3")
    # What was set for the merge must not leak into what others commit from the same JVM.
    lake.spark.sql(f"INSERT INTO {lake.name} VALUES (7, 'plain')")
    assert not [key for key in lake.snapshots()[-1] if key.startswith("dcp.")]


def test_a_merge_keeps_columns_that_the_result_lacks(lake: Lake) -> None:
    lake.run("SELECT 1 AS id, 'a' AS word, 10 AS size", mode="merge", merge_keys=["id"])
    lake.run("SELECT * FROM VALUES (1, 'A'), (2, 'B') AS t(ID, word)", mode="merge", merge_keys=["id"])
    assert lake.rows() == [(1, "A", 10), (2, "B", None)]


def test_a_merge_by_day_adds_the_day(lake: Lake) -> None:
    for word in "ab":
        lake.run(f"SELECT 1 AS id, '{word}' AS word", mode="merge", merge_keys=["id", "ds"], partition_by=["ds"])
    lake.run("SELECT 1 AS id, 'c' AS word", mode="merge", merge_keys=["id", "ds"], partition_by=["ds"], ds="2013-01-06")
    assert lake.rows() == [(1, "b", DAY), (1, "c", "2013-01-06")]


def test_duplicate_merge_keys_are_named_before_anything_is_written(lake: Lake) -> None:
    error = lake.fail(
        "SELECT * FROM VALUES (1, 'a', 0), (1, 'a', 1), (NULL, 'b', 2), (NULL, 'b', 3), (2, 'c', 4) AS t(id, word, n)",
        mode="merge",
        merge_keys=["id", "word"],
    )
    assert (error.code, error.exit_code) == ("DCP327", 20)
    assert "(id=1, word=a)" in error.message
    assert "(id=null, word=b)" in error.message
    assert "word=c" not in error.message
    assert not lake.exists()


def test_an_empty_merge_changes_nothing(lake: Lake) -> None:
    lake.run("SELECT 1 AS id", mode="merge", merge_keys=["id"])
    assert lake.run("SELECT 1 AS id WHERE false", mode="merge", merge_keys=["id"]).result == "no-change"
    assert lake.rows() == [(1,)]


def test_a_missing_merge_key_is_named(lake: Lake) -> None:
    error = lake.fail("SELECT 1 AS id", mode="merge", merge_keys=["id", "word"])
    assert error.code == "DCP328"
    assert "`word`" in error.message
