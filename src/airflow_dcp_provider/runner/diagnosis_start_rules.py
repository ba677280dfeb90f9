"""Why a driver's pod never ran, as data: image, scheduling, volumes, containers; a table as those of :mod:`.diagnosis_rules`."""

from __future__ import annotations

from airflow_dcp_provider.runner.diagnosis_rules import PLATFORM, RESOURCES, USER, Rule

#: Why the driver's pod never ran.
START_RULES = (
    Rule(
        "DCP367",
        USER,
        "driver",
        r"waiting (?:InvalidImageName|ErrInvalidImageName): (?P<cause>[^\n]*)",
        "the image's name is not one: {cause}",
        "correct spec.engine.image, or the environment's image rule when the manifest names no image",
    ),
    Rule(
        "DCP366",
        PLATFORM,
        "driver",
        r"waiting (?:ErrImagePull|ImagePullBackOff): [^\n]*?image \"(?P<image>[^\"\n]+)\"[^\n]*?"
        r"(?P<cause>unauthorized|authorization failed|pull access denied|no basic auth|403 Forbidden|401 Unauthorized)[^\n]*",
        "the cluster may not pull the image `{image}`: {cause}",
        "the platform team must give the namespace's service account an image pull secret for the registry",
    ),
    Rule(
        "DCP367",
        USER,
        "driver",
        r"waiting (?:ErrImagePull|ImagePullBackOff): [^\n]*?image \"(?P<image>[^\"\n]+)\""
        r"[^\n]*?(?:not found|manifest unknown|no such image)",
        "the image `{image}` does not exist in its registry",
        "correct spec.engine.image or push the image; when the manifest names none, correct the environment's image rule",
    ),
    Rule(
        "DCP366",
        PLATFORM,
        "driver",
        r"waiting (?:ErrImagePull|ImagePullBackOff|RegistryUnavailable|ImageInspectError|ErrImageNeverPull)"
        r": [^\n]*?image \"(?P<image>[^\"\n]+)\"[^\n]*?(?P<cause>[^:\n]+(?:: [^:\n]+)?)$",
        "the image `{image}` could not be pulled: {cause}",
        "check that the registry answers from the cluster's nodes, and the image's name",
    ),
    Rule(
        "DCP366",
        PLATFORM,
        "driver",
        r"waiting (?:ErrImagePull|ImagePullBackOff|RegistryUnavailable|ImageInspectError|ErrImageNeverPull): (?P<cause>[^\n]*)",
        "the image could not be pulled: {cause}",
        "check that the registry answers from the cluster's nodes, and the image's name",
    ),
    Rule(
        "DCP384",
        PLATFORM,
        "driver",
        r"waiting CreateContainerConfigError: (?P<cause>[^\n]*)",
        "the driver's container needs something that is not there: {cause}",
        "make the Secret or ConfigMap in the namespace, or correct the environment's `catalog_secrets` and volumes",
    ),
    Rule(
        "DCP388",
        PLATFORM,
        "driver",
        r"(?:waiting|terminated) (?P<reason>RunContainerError|CreateContainerError|ContainerCannotRun|StartError|CrashLoopBackOff)"
        r"[^:\n]*: ?(?P<cause>[^\n]*)",
        "the driver's container could not be started ({reason}): {cause}",
        "the image does not fit: its entry point, user or architecture; deploy/Dockerfile makes one that does",
    ),
    Rule(
        "DCP388",
        PLATFORM,
        "driver",
        r"^init container (?P<name>\S*) (?:waiting|terminated) (?P<cause>(?!PodInitializing|Completed)[^\n]*)",
        "the init container {name} of the driver's pod failed: {cause}",
        "it was added by the environment or by a webhook of the cluster; its log says why it failed",
    ),
    Rule(
        "DCP368",
        RESOURCES,
        "driver",
        r"^condition PodScheduled Unschedulable: (?P<cause>[^\n]*?\bInsufficient [\w./-]+)[^\n]*",
        "no node of the cluster has room for the driver: {cause}",
        "wait for other jobs to end, ask for fewer cores or less memory, or have the cluster enlarged",
    ),
    Rule(
        "DCP384",
        PLATFORM,
        "driver",
        r"^condition PodScheduled Unschedulable: (?P<cause>[^\n]*?(?:persistentvolumeclaim|volume)[^\n]*?)(?:\. |$)",
        "the driver cannot be placed because of its volumes: {cause}",
        "correct the environment's volumes, or make the volume claim in the namespace",
    ),
    Rule(
        "DCP369",
        PLATFORM,
        "driver",
        r"^condition PodScheduled (?:Unschedulable|SchedulingGated|SchedulerError): (?P<cause>[^\n]*?)(?:\. |$)",
        "no node of the cluster takes the driver: {cause}",
        "compare the environment's node_selector and tolerations with the cluster's nodes and their taints",
    ),
    Rule(
        "DCP366",
        PLATFORM,
        "events",
        r"^Pulling: Pulling image \"(?P<image>[^\"\n]+)\"",
        "the image `{image}` was still being pulled",
        "check that the registry answers from the cluster's nodes; a large image may need a larger `start_timeout_seconds`",
    ),
    Rule(
        "DCP384",
        PLATFORM,
        "events",
        r"^(?:FailedMount|FailedAttachVolume): (?P<cause>[^\n]*)",
        "a volume of the driver's pod could not be mounted: {cause}",
        "make the ConfigMap, Secret or volume claim in the namespace, or correct the environment's volumes",
    ),
    Rule(
        "DCP368",
        RESOURCES,
        "events",
        r"^FailedScheduling: (?P<cause>[^\n]*?\bInsufficient [\w./-]+)[^\n]*",
        "no node of the cluster has room for the driver: {cause}",
        "wait for other jobs to end, ask for fewer cores or less memory, or have the cluster enlarged",
    ),
    Rule(
        "DCP369",
        PLATFORM,
        "events",
        r"^FailedScheduling: (?P<cause>[^\n]*?)(?:\. |$)",
        "no node of the cluster takes the driver: {cause}",
        "compare the environment's node_selector and tolerations with the cluster's nodes and their taints",
    ),
    Rule(
        "DCP386",
        PLATFORM,
        "events",
        r"^(?P<cause>(?:FailedCreatePodSandBox|Failed|NetworkNotReady): [^\n]*)",
        "the driver's pod could not be started on its node: {cause}",
        "the platform team must look at the node; the next attempt may get another one",
    ),
)
