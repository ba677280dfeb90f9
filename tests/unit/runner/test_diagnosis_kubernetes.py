"""What a cluster shows of a failed application becomes one sentence, whose fault it was, and what to do."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_dcp_provider.model.error_codes import all_codes
from airflow_dcp_provider.model.execution import FailureKind
from airflow_dcp_provider.runner.backends.kubernetes.problems import problem_of_answer
from airflow_dcp_provider.runner.diagnosis_clues import read_clues
from airflow_dcp_provider.runner.diagnosis_kubernetes import FAULTS, Evidence, diagnose
from airflow_dcp_provider.runner.diagnosis_log_rules import EXECUTOR_RULES, LOG_RULES
from airflow_dcp_provider.runner.diagnosis_rules import DRIVER_END_RULES, SUBMISSION_RULES, first_match
from airflow_dcp_provider.runner.diagnosis_start_rules import START_RULES
from airflow_dcp_provider.runner.diagnosis_text import HINT_LIMIT, SENTENCE_LIMIT, TAIL_LIMIT
from tests.unit.runner.diagnosis_samples import (
    SAMPLES,
    TRACES,
    application,
    driver,
    ended,
    event,
    logged,
    pending,
    pod,
    result,
    thrown,
    traced,
)

VANISHED = "the application has vanished from the cluster, so that nothing proves how it ended (the platform's fault)"
NO_PROGRAM = "the program that the driver was to run, /nope.py, is not in its image (the job's own fault)"

#: Every trace that ends badly: kind, code and sentence.
GOLDEN = {
    "cancel-background": ("platform", "DCP387", VANISHED),
    "cancel-foreground": ("platform", "DCP387", VANISHED),
    "driver-exit-2": ("user", "DCP365", NO_PROGRAM),
    "driver-oom-killed": (
        "resources",
        "DCP360",
        "the driver's container was killed for using more memory than its limit of 896Mi (a matter of resources)",
    ),
    "executor-oom-killed": (
        "resources",
        "DCP362",
        "an executor's container was killed for using more memory than its limit of 896Mi (a matter of resources)",
    ),
    "image-missing": (
        "platform",
        "DCP366",
        "the image `localhost/none:1` could not be pulled: connect: connection refused (the platform's fault)",
    ),
    "reserved-label": (
        "user",
        "DCP382",
        "Spark refused the label `spark-role`, which is reserved for its own bookkeeping (the job's own fault)",
    ),
    "retry-then-fail": ("user", "DCP365", NO_PROGRAM),
    "service-account-missing": (
        "platform",
        "DCP374",
        "the service account `ghost` of the driver does not exist in the namespace (the platform's fault)",
    ),
    "sql-error": (
        "user",
        "DCP322",
        (
            "the driver: [UNRESOLVED_COLUMN.WITH_SUGGESTION] A column or function parameter with name `no_such_column` cannot be "
            "resolved. Did you mean one of the following? [`id`] (line 1, position 7) (the job's own fault)"
        ),
    ),
    "ttl": ("platform", "DCP387", VANISHED),
    "unschedulable": (
        "resources",
        "DCP368",
        "no node of the cluster has room for the driver: 0/1 nodes are available: 1 Insufficient cpu (a matter of resources)",
    ),
}
#: Traces without a failed application: one that succeeds, one that still runs, two that the API server refuses to create.
NOT_FAILED = {"success", "suspend-resume", "name-invalid", "schema-invalid"}

#: Logs that Spark 3.5 wrote: exit code, then kind, code and sentence.
LOGGED = {
    "parse": (1, "user", "DCP321", "the driver: [PARSE_SYNTAX_ERROR] Syntax error at or near 'SELEC' (line 1, position 0)"),
    "missing-table": (
        1,
        "user",
        "DCP330",
        "the driver: [TABLE_OR_VIEW_NOT_FOUND] The table or view `sales`.`orders` cannot be found.",
    ),
    "missing-path": (1, "user", "DCP330", "the driver: [PATH_NOT_FOUND] Path does not exist: file:/data/orders"),
    "python-udf": (
        1,
        "user",
        "DCP364",
        "the job's Python code failed with ValueError: invalid literal for int() with base 10: 'x0'",
    ),
    "python-error": (1, "user", "DCP364", "the job's Python code failed with KeyError: 'orders'"),
    "divide": (1, "user", "DCP323", "the driver: [DIVIDE_BY_ZERO] Division by zero."),
    "max-result": (1, "resources", "DCP340", "the driver ran out of heap memory: Java heap space"),
    "driver-heap": (52, "resources", "DCP340", "the driver ran out of heap memory: Java heap space"),
    "executor-heap": (1, "resources", "DCP361", "executor 4 ran out of heap memory: Java heap space"),
    "executor-exit": (
        1,
        "resources",
        "DCP362",
        "the container of executor 3 was killed for using more memory than its limit (exit code 137)",
    ),
}


def test_every_trace_has_its_sentence():
    assert {path.stem for path in TRACES.glob("*.jsonl")} == set(GOLDEN) | NOT_FAILED


@pytest.mark.parametrize("name", GOLDEN)
def test_traces(name):
    failure = diagnose(traced(name))
    assert (failure.kind.value, failure.code, failure.message) == GOLDEN[name]
    assert failure.hint


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        (
            "name-invalid",
            "DCP466",
            'was refused (422 Invalid): SparkApplication.sparkoperator.k8s.io "Bad_Name.1" is invalid: metadata.name',
        ),
        (
            "schema-invalid",
            "DCP465",
            "cannot unmarshal string into Go struct field DriverSpec.spec.driver.SparkPodSpec.cores of type int32",
        ),
    ],
)
def test_traces_of_refusals_are_problems_of_the_request(name, code, words):
    refused = [json.loads(line)["object"] for line in (TRACES / f"{name}.jsonl").read_text("utf-8").splitlines()][-1]
    problem = problem_of_answer("POST sparkapplications", refused["status"], json.dumps(refused["body"]))
    assert (problem.code, words in problem.message) == (code, True)


@pytest.mark.parametrize("name", LOGGED)
def test_real_logs(name):
    code, kind, wanted, sentence = LOGGED[name]
    failure = diagnose(logged(name, code))
    assert (failure.kind.value, failure.code) == (kind, wanted)
    assert failure.message.startswith(sentence)
    assert failure.hint
    assert "ShutdownHookManager" not in failure.log_tail


@pytest.mark.parametrize("name", SAMPLES)
def test_causes(name):
    evidence, kind, code, words = SAMPLES[name]
    failure = diagnose(evidence)
    assert (failure.kind.value, failure.code) == (kind, code)
    assert words in failure.message
    assert failure.message.endswith(f"({FAULTS[FailureKind(kind)]})")
    assert code in all_codes()


def test_every_rule_explains_some_evidence():
    evidence = [traced(name) for name in GOLDEN] + [logged(name, row[0]) for name, row in LOGGED.items()]
    evidence += [sample[0] for sample in SAMPLES.values()]
    clues = [read_clues(each) for each in evidence]
    for table in (SUBMISSION_RULES, DRIVER_END_RULES, START_RULES, LOG_RULES, EXECUTOR_RULES):
        used = {id(found[0]) for each in clues if (found := first_match(table, each))}
        assert [rule.code + rule.pattern for rule in table if id(rule) not in used] == []


class TestWhatCountsMost:
    def test_the_drivers_own_report_beats_its_log(self):
        log = thrown("java.lang.NullPointerException: x") + result("DCP321", "no column x", "did you mean y?")
        failure = diagnose(driver(20, log))
        assert (failure.code, failure.hint) == ("DCP321", "did you mean y?")

    def test_a_kill_beats_what_the_driver_could_still_report(self):
        failure = diagnose(driver(137, result("DCP349", "lost it"), "OOMKilled"))
        assert failure.code == "DCP360"

    def test_an_executor_that_was_lost_on_the_way_does_not_explain_a_wrong_query(self):
        log = "26/11/22 05:36:14 ERROR TaskSchedulerImpl: ExecutorLostFailure (executor 1 exited) Reason: exit code 137\n"
        log += thrown("org.apache.spark.sql.AnalysisException: [UNRESOLVED_COLUMN] no column x")
        failure = diagnose(driver(1, log, "Error", pod("executor", state=ended(137, "OOMKilled"))))
        assert (failure.kind, failure.code) == (FailureKind.USER, "DCP322")

    def test_executors_that_the_driver_ended_itself_explain_nothing(self):
        failure = diagnose(driver(1, "", "Error", pod("executor", state=ended(143), deleted=True)))
        assert failure.code == "DCP350"

    def test_a_sidecars_end_is_not_the_drivers(self):
        assert diagnose(driver(1)).code == "DCP350"

    def test_events_of_an_earlier_pod_of_the_same_name_do_not_count(self):
        stale = event("FailedMount", "configmap not found", uid="another-uid")
        assert diagnose(pending(stale)).code == "DCP386"

    def test_mounts_that_failed_at_first_do_not_explain_what_came_after_them(self):
        early = event("FailedMount", 'configmap "spark-drv" not found')
        late = event("Failed", "Error: cannot start", kind="Warning")
        assert "cannot start" in diagnose(pending(early, event("Pulled", "already present", kind="Normal"), late)).message
        assert "spark-drv" in diagnose(pending(early)).message

    def test_what_delayed_the_start_does_not_explain_an_end(self):
        evidence = replace(driver(1), events=(event("FailedMount", 'configmap "spark-drv" not found'),))
        assert diagnose(evidence).code == "DCP350"

    def test_the_youngest_driver_pod_counts(self):
        old, new = pod(state=ended(137, "OOMKilled")), pod(state=ended(143))
        old["metadata"]["creationTimestamp"], new["metadata"]["creationTimestamp"] = "2026-11-22T05:00:00Z", "2026-11-22T06:00:00Z"
        assert diagnose(Evidence(application(), (new, old))).code == "DCP380"

    def test_exceptions_that_the_driver_survived_do_not_count(self):
        log = (
            "26/11/22 05:36:14 WARN X: retrying\njava.net.ConnectException: Connection refused\n\tat a.B.c(B.java:1)\n"
            'Traceback (most recent call last):\n  File "/opt/main.py", line 1, in <module>\nKeyError: 7\n'
        )
        assert diagnose(driver(1, log)).code == "DCP364"


class TestApacheOperator:
    def test_the_outcome_is_the_last_state_that_says_something(self):
        history = {
            str(number): {"currentStateSummary": name, "message": name}
            for number, name in enumerate(
                ["Submitted", "DriverRequested", "DriverStarted", "SchedulingFailure", "ResourceReleased"]
            )
        }
        # Keys are texts: "10" sorts before "9" unless they are read as numbers.
        history["9"], history["10"] = (
            {"currentStateSummary": "Failed", "message": "boom"},
            {"currentStateSummary": "ResourceReleased"},
        )
        status = {"currentState": {"currentStateSummary": "ResourceReleased"}, "stateTransitionHistory": history}
        failure = diagnose(Evidence({"status": status}))
        assert failure.message == "the application ended in the state Failed: boom (the platform's fault)"

    def test_an_application_that_nobody_took_up(self):
        evidence = Evidence({"status": {"currentState": {"currentStateSummary": "Submitted"}}})
        assert diagnose(evidence).code == "DCP385"

    def ended(self, word: str, message: str = "", **seen: object) -> Evidence:
        entry = {"currentStateSummary": word, "message": message, **seen}
        return Evidence(
            {"status": {"currentState": {"currentStateSummary": "ResourceReleased"}, "stateTransitionHistory": {"7": entry}}}
        )

    def test_a_refused_driver_is_explained_as_spark_submits_would_be(self):
        failure = diagnose(
            self.ended("SchedulingFailure", 'pods "x-driver" is forbidden: exceeded quota: team-a, requested: pods=1')
        )
        assert (failure.kind, failure.code) == (FailureKind.RESOURCES, "DCP372")

    def test_the_driver_as_it_was_last_seen_stands_for_a_pod_that_is_gone(self):
        seen = pod(state=ended(137, "OOMKilled"), limit="4Gi")["status"]
        failure = diagnose(self.ended("Failed", "Driver has failed container(s)", lastObservedDriverStatus=seen))
        assert (failure.code, "limit of 4Gi" in failure.message) == ("DCP360", True)

    @pytest.mark.parametrize(
        ("word", "message", "code"),
        [
            ("Failed", "Driver removed. This could caused by 'exit' called in driver process", "DCP380"),
            ("DriverStartTimedOut", "The driver has not responded", "DCP386"),
            ("DriverReadyTimedOut", "The driver has not responded", "DCP386"),
            ("ExecutorsStartTimedOut", "The Spark application failed to get enough executors", "DCP368"),
        ],
    )
    def test_the_operators_own_words(self, word, message, code):
        assert diagnose(self.ended(word, message)).code == code


#: Names and values that real resources have, so that made-up ones are sometimes taken for them.
FIELDS = (
    *(
        "status",
        "metadata",
        "labels",
        "spark-role",
        "driver",
        "executor",
        "phase",
        "Failed",
        "containerStatuses",
        "state",
        "terminated",
    ),
    *("waiting", "reason", "message", "exitCode", "OOMKilled", "applicationState", "errorMessage", "FAILED", "currentState", "uid"),
    *(
        "involvedObject",
        "Pod",
        "Warning",
        "kind",
        "type",
        "name",
        "conditions",
        "stateTransitionHistory",
        "currentStateSummary",
        "7",
    ),
)


class TestSafety:
    def test_secrets_are_masked_in_sentence_and_tail(self):
        secret = "s3cr3tvalue9"
        lines = "\n".join(
            [
                f"26/11/22 05:36:14 INFO X: spark.sql.catalog.c.credential -> id:{secret}",
                f"Authorization: Bearer {secret}",
                f"jdbc:postgresql://etl:{secret}@db/x",
                f"https://s3/x?X-Amz-Signature={secret}&y=1",
                f"password='{secret}'",
            ]
        )
        failure = diagnose(
            driver(1, f"{lines}\n" + thrown(f"java.io.IOException: cannot open s3://k:{secret}@b with secretKey={secret}"))
        )
        assert secret not in str(failure)
        assert "IOException: cannot open" in failure.message
        assert len(failure.log_tail.splitlines()) > 5

    def test_long_texts_are_bounded(self):
        failure = diagnose(driver(1, thrown("java.io.IOException: " + "x " * 100_000) + "y" * 1_000_000))
        assert len(failure.message) <= SENTENCE_LIMIT
        assert len(failure.log_tail) <= TAIL_LIMIT

    @settings(max_examples=100, deadline=None)
    @given(st.data())
    def test_whatever_the_cluster_sends_there_is_one_short_sentence(self, data):
        words = st.sampled_from(FIELDS)
        text = words | st.text(max_size=40) | st.sampled_from([sample[0].log for sample in SAMPLES.values()])
        leaf = st.none() | st.booleans() | st.integers() | st.floats() | text
        value = st.recursive(
            leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=4), max_leaves=25
        )
        resource = st.dictionaries(words, value, max_size=5)
        evidence = Evidence(
            data.draw(st.none() | resource),
            tuple(data.draw(st.lists(resource, max_size=3))),
            tuple(data.draw(st.lists(resource, max_size=3))),
            data.draw(text),
        )
        failure = diagnose(evidence)
        assert failure.message.splitlines() == [failure.message]
        assert len(failure.message) <= SENTENCE_LIMIT
        assert len(failure.hint) <= HINT_LIMIT
        assert len(failure.log_tail) <= TAIL_LIMIT
        assert failure.code in all_codes()
