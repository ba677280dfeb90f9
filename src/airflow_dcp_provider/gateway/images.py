"""Which image a job runs: the one that its manifest names, else the environment's rule for its engine; both by the same policy."""

from __future__ import annotations

import re
from collections.abc import Iterator

from airflow_dcp_provider.gateway.places import Places, problem
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError, ManifestError
from airflow_dcp_provider.model.images import Images
from airflow_dcp_provider.model.job import JobSpec

_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]*")
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")

#: The registry that container runtimes take for a reference without one.
_IMPLIED_REGISTRY = "docker.io"


def image_for(job: JobSpec, environment: Environment, places: Places | None = None) -> str:
    """Return the image of ``job``'s driver and executors.

    :param places: where fields of the job stand in its manifest, for messages.
    :raises ManifestError: DCP172 when the manifest names an image that the environment does not run.
    :raises DcpEnvironmentError: DCP482 when the environment has no rule for the engine, DCP486 when its own rule breaks its policy.
    """
    images, name = environment.images, environment.name
    if job.engine.image:
        found = qualified(job.engine.image, images.registry)
        if fault := image_fault(found, images):
            message = f"the image `{found}` is not run in environment {name}: it {fault}"
            hint = "name another image in spec.engine.image, or leave it out for the environment's own"
            raise ManifestError([problem("DCP172", message, job, "engine.image", places=places, hint=hint)])
        return found
    version = environment.spark_version_of(job.engine)
    rule, image = _rule(job.engine.type, version, images)
    if not image:
        raise DcpEnvironmentError(
            f"environment {name} has no image for the engine {job.engine.type} {version}",
            code="DCP482",
            hint=f"add a rule for `{version}` or `default` to the field `image_rules` of the connection dcp_{name}, "
            "or name an image in the manifest's spec.engine.image",
        )
    found = qualified(image, images.registry)
    if fault := image_fault(found, images):
        raise DcpEnvironmentError(
            f"environment {name}: the image `{found}` of the rule `{rule}` {fault}",
            code="DCP486",
            hint=f"correct `image_rules`, `image_policy` or `allowed_registries` of the connection dcp_{name}",
        )
    return found


def _rule(engine: str, version: str, images: Images) -> tuple[str, str]:
    """Return the nearest rule and its image, or two empty texts."""
    for key in (*_keys(engine, version), "default"):
        if image := images.rules.get(key):
            return key, image
    return "", ""


def _keys(engine: str, version: str) -> Iterator[str]:
    """Yield the rules' names for an engine, the nearest first: of ``3.5.1`` also those of ``3.5`` and ``3``."""
    steps = version.split(".")
    versions = [".".join(steps[:count]) for count in range(len(steps), 0, -1)]
    for each in versions:
        yield f"{engine}/{each}"
        yield each


def qualified(image: str, registry: str) -> str:
    """Return ``image`` below ``registry``, unless it names a registry of its own or there is none to put before it."""
    return image if not registry or _own_registry(image) else f"{registry.rstrip('/')}/{image}"


def _own_registry(image: str) -> bool:
    # The rule of container runtimes: what stands before the first slash is a host when it looks like one.
    host, slash, _ = image.partition("/")
    return bool(slash) and ("." in host or ":" in host or host == "localhost")


def image_fault(image: str, images: Images) -> str:
    """Return why an environment does not run ``image``, completing "it ..."; empty when it does.

    :param image: as :func:`qualified` gives it.
    """
    if not _REFERENCE.fullmatch(image):
        return "is no image reference"
    full = image if _own_registry(image) else f"{_IMPLIED_REGISTRY}/{image if '/' in image else f'library/{image}'}"
    allowed = [registry.rstrip("/") for registry in images.allowed_registries]
    if allowed and not any(full.startswith(f"{registry}/") for registry in allowed):
        return f"does not come from an allowed registry ({', '.join(allowed)})"
    if images.policy == "any" or _DIGEST.search(image):
        return ""
    if images.policy == "digest":
        return "has no digest; the policy is `digest`, so write `<image>@sha256:<digest>`"
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    if tag in {"", "latest"}:
        return f"has {'no tag' if not tag else 'the tag `latest`'}; the policy is `tag`, so name a tag that stays what it is"
    return ""
