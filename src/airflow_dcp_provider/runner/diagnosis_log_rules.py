"""Causes that the driver's log and its executors show, as data; the tables go on from :mod:`.diagnosis_rules`."""

from __future__ import annotations

from airflow_dcp_provider.runner.diagnosis_rules import LOCAL_DISK_FULL, PLATFORM, RESOURCES, USER, Rule

_EXECUTOR_HEAP = (
    "raise resources.executor.memory, or use more and smaller partitions; a retry gets more by itself, within the limits"
)
_EXECUTOR_CONTAINER = (
    "raise spark.executor.memoryOverhead (Python and native memory) or resources.executor.memory; a retry gets more by itself"
)

#: What the driver's log says beyond doubt, and more precisely than the exception's class.
LOG_RULES = (
    Rule(
        "DCP365",
        USER,
        "log",
        r"can't open file '(?P<file>[^'\n]+)': \[Errno 2\]",
        "the program that the driver was to run, {file}, is not in its image",
        "correct the program's path, or use an image that has it",
    ),
    Rule(
        "DCP365",
        USER,
        "log",
        r"(?:Error: Failed to load class|Error: Could not find or load main class) (?P<name>[\w.$]+)",
        "the main class {name} is not in the driver's image",
        "correct spec.coreEtl.mainClass, or use an image whose jars have it",
    ),
    Rule(
        "DCP392",
        USER,
        "chain",
        r"Total size of serialized results of \d+ tasks \((?P<size>[^)\n]+)\) is bigger than spark\.driver\.maxResultSize"
        r" \((?P<limit>[^)\n]+)\)",
        "the job collects {size} to the driver, more than spark.driver.maxResultSize ({limit}) allows",
        "collect less (no toPandas or collect of large results), or raise spark.driver.maxResultSize and the driver's memory",
    ),
    Rule(
        "DCP378",
        RESOURCES,
        "chain",
        r"No space left on device",
        "a local disk of the job was full (No space left on device)",
        "spill less (more partitions, a filter), or give driver and executors more local disk through the environment's volumes",
    ),
    Rule(
        "DCP331",
        USER,
        "chain",
        r"^(?P<cause>[^\n]*(?i:\bForbidden\b[^\n]*\b403\b|status code:? 40[13]\b|InvalidAccessKeyId|SignatureDoesNotMatch"
        r"|ExpiredToken|AuthorizationPermissionMismatch|does not have (?:storage|serviceusage)\.)[^\n]*)",
        "storage or catalog refused the job: {cause}",
        "ask for the right to the table or path, or have the credentials of the environment's catalog checked",
    ),
)

#: What happened to executors, when the driver's own words do not explain its end.
EXECUTOR_RULES = (
    Rule(
        "DCP361",
        RESOURCES,
        "log",
        r"\(TID \d+\) \([^)\n]*executor (?P<number>\d+)[^)\n]*\): java\.lang\.OutOfMemoryError: (?P<cause>[^\n]*)",
        "executor {number} ran out of heap memory: {cause}",
        _EXECUTOR_HEAP,
    ),
    Rule(
        "DCP361",
        RESOURCES,
        "log",
        r"ExecutorLostFailure \(executor (?P<number>\d+) [^\n]*(?i:exit code|exit status|exited with code)\D{0,4}52\b",
        "executor {number} ran out of heap memory (exit code 52)",
        _EXECUTOR_HEAP,
    ),
    Rule(
        "DCP362",
        RESOURCES,
        "log",
        r"ExecutorLostFailure \(executor (?P<number>\d+) "
        r"[^\n]*(?:(?i:exit code|exit status|exited with code)\D{0,4}137\b|OOMKilled)",
        "the container of executor {number} was killed for using more memory than its limit (exit code 137)",
        _EXECUTOR_CONTAINER,
    ),
    Rule(
        "DCP362",
        RESOURCES,
        "executors",
        r"^terminated OOMKilled exit -?\d+ (?P<limit>limit[^:\n]*)",
        "an executor's container was killed for using more memory than its {limit}",
        _EXECUTOR_CONTAINER,
    ),
    Rule(
        "DCP361",
        RESOURCES,
        "executors",
        r"^terminated \w+ exit 52\b",
        "an executor ran out of heap memory (exit code 52)",
        _EXECUTOR_HEAP,
    ),
    Rule(
        "DCP378",
        RESOURCES,
        "executors",
        rf"^pod Failed Evicted: {LOCAL_DISK_FULL}",
        "an executor was evicted for filling its local disk: {cause}",
        "spill less (more partitions, a filter), or give executors more local disk through the environment's volumes",
    ),
    Rule(
        "DCP363",
        PLATFORM,
        "executors",
        r"^pod Failed (?:Evicted|NodeLost|NodeShutdown|Shutdown|Terminated|Preempting): (?P<cause>[^\n]*)"
        r"|^condition DisruptionTarget \w+: (?P<more>[^\n]*)",
        "executors were taken off their nodes until the job gave up: {cause}{more}",
        "nodes that may be taken away (spot) or are too full do that; the next attempt gets others",
    ),
    Rule(
        "DCP368",
        RESOURCES,
        "executors",
        r"^condition PodScheduled Unschedulable: (?P<cause>[^\n]*)",
        "no node of the cluster has room for an executor: {cause}",
        "ask for fewer or smaller executors, wait for other jobs to end, or have the cluster enlarged",
    ),
    Rule(
        "DCP366",
        PLATFORM,
        "executors",
        r"^waiting (?:ErrImagePull|ImagePullBackOff): (?P<cause>[^\n]*)",
        "an executor's image could not be pulled: {cause}",
        "check that the registry answers from the cluster's nodes",
    ),
    Rule(
        "DCP372",
        RESOURCES,
        "log",
        r"pods \"[^\"\n]+\" is forbidden: exceeded quota: (?P<cause>[^\n]{1,300})",
        "the namespace's quota does not allow the executors: {cause}",
        "ask for fewer or smaller executors, wait for other jobs to end, or have the namespace's ResourceQuota raised",
    ),
    Rule(
        "DCP373",
        PLATFORM,
        "log",
        r"User \"(?P<user>[^\"\n]+)\" cannot (?P<verb>\w+) resource \"(?P<what>[^\"\n]+)\"[^\n]*",
        "{user} has no right to {verb} {what} in the namespace, so that the driver gets no executors",
        "give the service account the Role that the documentation of Kubernetes lists",
    ),
    Rule(
        "DCP363",
        PLATFORM,
        "log",
        r"ExecutorLostFailure \(executor (?P<number>\d+) [^\n]*?Reason: (?P<cause>[^\n]*)"
        r"|Max number of executor failures \((?P<most>\d+)\) reached",
        "executors were lost until the job gave up: {cause}{most}",
        "the log says how each ended; the next attempt gets others",
    ),
)
