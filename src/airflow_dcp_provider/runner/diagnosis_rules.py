"""Causes that a cluster shows, as data: where to look, what it looks like, whose fault it is, what to say and what to do.

Tables are in order, most specific first; the first rule that matches decides. ``docs/failures.md`` tells the same to users.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from airflow_dcp_provider.model.execution import FailureKind
from airflow_dcp_provider.runner.diagnosis_clues import Clues

#: How a node says that a pod wrote more to local disk than it may.
LOCAL_DISK_FULL = r"(?P<cause>[^\n]*(?:exceeds the total limit|exceeded its local ephemeral storage|exceeds the limit)[^\n]*)"

USER, RESOURCES, PLATFORM = FailureKind.USER, FailureKind.RESOURCES, FailureKind.PLATFORM


@dataclass(frozen=True)
class Rule:
    """One cause.

    :param clue: the field of :class:`Clues` that is searched.
    :param pattern: a regular expression; ``^`` is the beginning of any line.
    :param message: one sentence; ``{name}`` stands for the pattern's group of that name.
    """

    code: str
    kind: FailureKind
    clue: str
    pattern: str
    message: str
    hint: str
    _compiled: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", re.compile(self.pattern, re.MULTILINE))

    def find(self, clues: Clues) -> re.Match[str] | None:
        """Return where the rule matches, or None. The last place counts: what happened last is nearest to the end."""
        last: re.Match[str] | None = None
        for match in self._compiled.finditer(_text(clues, self.clue)):
            last = match
        return last

    def sentence(self, match: re.Match[str]) -> str:
        """Return the message with what the pattern found."""
        return self.message.format(**{name: value or "" for name, value in match.groupdict().items()})


def first_match(rules: Iterable[Rule], clues: Clues) -> tuple[Rule, re.Match[str]] | None:
    """Return the first rule that matches and where, or None."""
    for rule in rules:
        match = rule.find(clues)
        if match is not None:
            return rule, match
    return None


def _text(clues: Clues, name: str) -> str:
    if name == "chain":
        return "\n".join(str(link) for link in clues.chain)
    return str(getattr(clues, name))


_EXECUTOR_MEMORY = (
    "raise resources.executor.memory, or use more and smaller partitions; a retry gets more by itself, within the limits"
)

#: Why the operator's ``spark-submit`` failed: no driver of this application has run.
SUBMISSION_RULES = (
    Rule(
        "DCP382",
        USER,
        "submission",
        r"Label with key (?P<label>\S+) is not allowed as it is reserved",
        "Spark refused the label `{label}`, which is reserved for its own bookkeeping",
        "remove the label from the manifest's `labels`, or from the environment's when the manifest does not set it",
    ),
    Rule(
        "DCP374",
        PLATFORM,
        "submission",
        r"serviceaccount \"(?P<account>[^\"\n]+)\" not found",
        "the service account `{account}` of the driver does not exist in the namespace",
        "make the service account with the Role that the documentation lists, or correct the environment's `serviceaccount`",
    ),
    Rule(
        "DCP383",
        PLATFORM,
        "submission",
        r"(?i)pods? [^\n]{0,300}already exists|driver pod already exist",
        "the operator found a driver pod of this name and gave up; that does not prove that no driver runs",
        "the operator has probably been restarted in between; the next attempt waits until no driver of this one is left",
    ),
    Rule(
        "DCP372",
        RESOURCES,
        "submission",
        r"exceeded quota: (?P<cause>[^\n]{1,300})",
        "the namespace's quota does not allow the driver's pod: {cause}",
        "wait until other jobs have ended, ask for less, or have the namespace's ResourceQuota raised",
    ),
    Rule(
        "DCP372",
        RESOURCES,
        "submission",
        r"failed quota: (?P<cause>[^\n]{1,300})",
        "the namespace's quota asks for a size that the driver's pod does not state: {cause}",
        "set requests and limits, in the manifest or the environment, for what the ResourceQuota names",
    ),
    Rule(
        "DCP372",
        RESOURCES,
        "submission",
        r"status unknown for quota: (?P<cause>[^\n]{1,300})",
        "the cluster has not yet computed the namespace's quota: {cause}",
        "it passes by itself within minutes; the next attempt tries again",
    ),
    Rule(
        "DCP376",
        PLATFORM,
        "submission",
        r"failed calling webhook (?P<cause>[^\n]{1,300})",
        "an admission webhook of the cluster did not answer: {cause}",
        "the platform team must look at that webhook's service; the next attempt tries again",
    ),
    Rule(
        "DCP375",
        PLATFORM,
        "submission",
        r"admission webhook (?P<hook>\S+) denied the request:? ?(?P<cause>[^\n]{0,300})",
        "the cluster's admission webhook {hook} denied the driver's pod: {cause}",
        "change what the policy objects to, in the manifest's resources or the environment's connection",
    ),
    Rule(
        "DCP375",
        PLATFORM,
        "submission",
        r"violates PodSecurity (?P<cause>[^\n]{1,300})",
        "the namespace's Pod Security policy refuses the driver's pod: {cause}",
        "the platform team must relax the namespace's policy or give the environment a pod that satisfies it",
    ),
    Rule(
        "DCP373",
        PLATFORM,
        "submission",
        r"User \"(?P<user>[^\"\n]+)\" cannot (?P<verb>\w+) resource \"(?P<what>[^\"\n]+)\"[^\n]*",
        "{user} has no right to {verb} {what} in the namespace",
        "give the service account the Role that the documentation of Kubernetes lists",
    ),
    Rule(
        "DCP373",
        PLATFORM,
        "submission",
        r"(?i)\bis forbidden: (?P<cause>[^\n]{1,300})|Message: Forbidden",
        "the cluster forbade the driver's pod: {cause}",
        "look at the namespace's rights and policies; the message is the API server's own",
    ),
    Rule(
        "DCP389",
        PLATFORM,
        "submission",
        r"(?:Caused by: |Exception in thread \"main\" )(?P<cause>[\w.$]+(?:Error|Exception)\b[^\n]*)",
        "the operator could not submit the application: {cause}",
        "the operator's own log and this message say what spark-submit objected to",
    ),
    Rule(
        "DCP389",
        PLATFORM,
        "submission",
        r"\A(?P<cause>[^\n]+)",
        "the operator could not submit the application: {cause}",
        "the operator's own log says what spark-submit objected to",
    ),
)

#: What ended the driver's pod from outside, or for its memory. It outweighs everything that the log says.
DRIVER_END_RULES = (
    Rule(
        "DCP360",
        RESOURCES,
        "driver",
        r"^terminated OOMKilled exit -?\d+ (?P<limit>limit[^:\n]*)",
        "the driver's container was killed for using more memory than its {limit}",
        "raise spark.driver.memoryOverhead (Python and native memory) or resources.driver.memory; a retry gets more by itself",
    ),
    Rule(
        "DCP360",
        RESOURCES,
        "operator",
        r"^driver container failed with ExitCode: \d+, Reason: OOMKilled",
        "the driver's container was killed for using more memory than its limit",
        "raise spark.driver.memoryOverhead (Python and native memory) or resources.driver.memory; a retry gets more by itself",
    ),
    Rule(
        "DCP378",
        RESOURCES,
        "driver",
        rf"^pod Failed Evicted: {LOCAL_DISK_FULL}",
        "the driver was evicted for filling its local disk: {cause}",
        "spill less (more partitions, a filter), or give the driver more local disk through the environment's volumes",
    ),
    Rule(
        "DCP377",
        PLATFORM,
        "driver",
        r"^pod Failed Evicted: (?P<cause>[^\n]*)",
        "the driver was evicted because its node was under pressure: {cause}",
        "the next attempt gets another place; when it comes again, the nodes are too small or too full",
    ),
    Rule(
        "DCP381",
        RESOURCES,
        "driver",
        r"^pod Failed DeadlineExceeded: (?P<cause>[^\n]*)",
        "the driver's pod was ended at the deadline that the cluster sets for pods: {cause}",
        "make the job faster, or have activeDeadlineSeconds raised where the namespace's policy sets it",
    ),
    Rule(
        "DCP379",
        PLATFORM,
        "driver",
        r"^condition DisruptionTarget PreemptionByScheduler: (?P<cause>[^\n]*)|^pod Failed Preempting: (?P<more>[^\n]*)",
        "the driver was preempted by a pod of higher priority: {cause}{more}",
        "the next attempt tries again; a higher priority_class in the environment protects it",
    ),
    Rule(
        "DCP379",
        PLATFORM,
        "driver",
        r"^pod \w* ?(?:NodeLost|NodeShutdown|Shutdown|Terminated|NodeAffinity): (?P<cause>[^\n]*)",
        "the driver's node was shut down or lost: {cause}",
        "nodes that may be taken away (spot) do that; the next attempt gets another one",
    ),
    Rule(
        "DCP379",
        PLATFORM,
        "driver",
        r"^condition DisruptionTarget (?P<reason>Deletion\w+|TerminationByKubelet|EvictionByEvictionAPI): (?P<cause>[^\n]*)",
        "the driver's node was drained, shut down or lost ({reason}): {cause}",
        "nodes that may be taken away (spot) do that; the next attempt gets another one",
    ),
    Rule(
        "DCP379",
        PLATFORM,
        "events",
        r"^(?:Preempted|TaintManagerEviction|NodeNotReady|NodeShutdown): (?P<cause>[^\n]*)",
        "the driver was taken off its node: {cause}",
        "nodes that may be taken away (spot) do that; the next attempt gets another one",
    ),
    Rule(
        "DCP377",
        PLATFORM,
        "events",
        r"^Evicted: (?P<cause>[^\n]*)",
        "the driver was evicted because its node was under pressure: {cause}",
        "the next attempt gets another place; when it comes again, the nodes are too small or too full",
    ),
    Rule(
        "DCP369",
        PLATFORM,
        "driver",
        r"^pod Failed (?P<reason>OutOf\w+|UnexpectedAdmissionError): (?P<cause>[^\n]*)",
        "the node refused the driver's pod ({reason}): {cause}",
        "the node filled up in the meantime; the next attempt gets another one",
    ),
    Rule(
        "DCP380",
        PLATFORM,
        "driver",
        r"^terminated \w+ exit 143\b",
        "the driver's pod was deleted or ended from outside (signal 15), without a cancellation of ours",
        "somebody or something deleted the pod; cancel executions with `pretzel executions cancel`, which also stops retries",
    ),
    Rule(
        "DCP380",
        PLATFORM,
        "operator",
        r"ExitCode: 143\b|(?i:driver pod (?:is )?(?:not found|disappeared|missing|gone))|^Driver removed\.",
        "the driver's pod was deleted or ended from outside, without a cancellation of ours",
        "somebody or something deleted the pod; cancel executions with `pretzel executions cancel`, which also stops retries",
    ),
)
