"""Images: the manifest's or the rule's, below the registry, by the policy."""

from __future__ import annotations

import pytest

from airflow_dcp_provider.gateway.images import image_for, qualified
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError, ManifestError
from airflow_dcp_provider.model.images import Images
from airflow_dcp_provider.model.job import EngineSpec, JobSpec

DIGEST = f"@sha256:{'0' * 64}"
REGISTRY = "registry.example.com/spark-platform"


def image(images: Images, version: str | None = "3.5", named: str | None = None) -> str:
    job = JobSpec("growth/daily", "daily", "prod", engine=EngineSpec("spark-oss", version, named))
    return image_for(job, Environment("prod", backend="kubeflow", images=images))


@pytest.mark.parametrize(
    ("rules", "version", "expected"),
    [
        ({"spark-oss/3.5": "a:1", "3.5": "b:1", "default": "c:1"}, "3.5", "a:1"),
        ({"3.5": "b:1", "default": "c:1"}, "3.5", "b:1"),
        ({"default": "c:1"}, "3.5", "c:1"),
        ({"3.5": "b:1"}, "3.5.5", "b:1"),
        ({"3.5.5": "d:1", "3.5": "b:1"}, "3.5.5", "d:1"),
        ({"spark-dbr/3.5": "a:1", "3": "e:1"}, "3.5", "e:1"),
    ],
)
def test_the_nearest_rule_gives_the_image(rules: dict[str, str], version: str, expected: str) -> None:
    assert image(Images(REGISTRY, rules), version) == f"{REGISTRY}/{expected}"
    assert image(Images("", rules), version) == expected


def test_a_job_without_a_version_gets_the_image_of_the_environments() -> None:
    rules = {"3.5": "a:1", "4.0": "b:1", "default": "c:1"}
    assert image(Images(rules=rules), None) == "a:1"
    job = JobSpec("growth/daily", "daily", "prod")
    assert image_for(job, Environment("prod", backend="kubeflow", images=Images(rules=rules), spark_version="4.0")) == "b:1"
    assert image_for(job, Environment("prod", backend="kubeflow", images=Images(rules=rules), spark_version="4.1")) == "c:1"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("3.5-oss:1", f"{REGISTRY}/3.5-oss:1"),
        ("team/3.5-oss:1", f"{REGISTRY}/team/3.5-oss:1"),
        ("other.example.com/x:1", "other.example.com/x:1"),
        ("localhost/x:1", "localhost/x:1"),
        ("host:5000/x:1", "host:5000/x:1"),
    ],
)
def test_the_registry_is_put_before_images_without_one(name: str, expected: str) -> None:
    assert qualified(name, f"{REGISTRY}/") == expected


def test_a_missing_rule_is_the_environments_fault() -> None:
    with pytest.raises(DcpEnvironmentError, match="has no image for the engine spark-oss 4") as caught:
        image(Images(rules={"3.5": "a:1"}), "4.0")
    assert caught.value.code == "DCP482"
    assert "`4.0` or `default`" in caught.value.hint


@pytest.mark.parametrize(
    ("policy", "named", "said"),
    [
        ("any", "a", ""),
        ("any", "a:latest", ""),
        ("tag", "a:1", ""),
        ("tag", f"a{DIGEST}", ""),
        ("tag", f"a:latest{DIGEST}", ""),
        ("tag", "a", "has no tag"),
        ("tag", "host:5000/a", "has no tag"),
        ("tag", "a:latest", "has the tag `latest`"),
        ("digest", "a:1", "has no digest"),
        ("digest", "a@sha256:12", "has no digest"),
        ("digest", f"a:1{DIGEST}", ""),
        ("any", "a b", "is no image reference"),
        ("any", "-a", "is no image reference"),
    ],
)
def test_the_policy(policy: str, named: str, said: str) -> None:
    images = Images(policy=policy, rules={"default": named})
    if not said:
        assert image(images, named=named) == image(images) == named
        return
    with pytest.raises(ManifestError, match=r"growth/daily, engine\.image: the image") as manifest:
        image(images, named=named)
    assert manifest.value.code == "DCP172"
    assert said in str(manifest.value)
    with pytest.raises(DcpEnvironmentError, match="of the rule `default`") as environment:
        image(images)
    assert environment.value.code == "DCP486"
    assert said in str(environment.value)


@pytest.mark.parametrize(
    ("named", "allowed"),
    [
        ("registry.example.com/spark-platform/x:1", True),
        ("registry.example.com/spark-platform-evil/x:1", False),
        ("registry.example.com/other/x:1", False),
        ("registry.example.com.evil.org/spark-platform/x:1", False),
        ("x/y:1", False),
        ("docker.io/library/spark:1", True),
        ("spark:1", True),
    ],
)
def test_only_allowed_registries(named: str, *, allowed: bool) -> None:
    images = Images(allowed_registries=(REGISTRY, "docker.io/library/"))
    if allowed:
        assert image(images, named=named) == named
    else:
        with pytest.raises(ManifestError, match="does not come from an allowed registry"):
            image(images, named=named)
