"""What ``make e2e`` is told, as environment variables."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HELP = """\
make e2e KUBECONFIG=FILE NAMESPACE=NAME IMAGE=IMAGE [...]

  KUBECONFIG       how the cluster is reached; a path
  NAMESPACE        where jobs run, watched by the Kubeflow Spark operator; made when it is missing, and then removed at the end
  IMAGE            an image with Spark and Python 3, for example spark:3.5.9-python3 or one of deploy/Dockerfile
  CONTEXT          the kubeconfig's context (default: its current one)
  NAMESPACE_2      a second namespace, for a second environment
  SERVICE_ACCOUNT  of drivers (default: spark); made with the rights that Spark needs when it is missing, and then removed
  PULL_POLICY      IfNotPresent (default), Always or Never
  SPARK_VERSION    of the image (default: what its tag says, else 3.5)
  START_TIMEOUT    seconds that a driver may take to start, the image's pull included (default: 300)

The table step needs Iceberg's runtime and a warehouse:

  ICEBERG_JAR      URL of iceberg-spark-runtime's jar, for an image that lacks it
  CATALOG          address of an Iceberg REST catalog that pods and this machine reach; it knows its warehouse (s3://...) itself

or, instead of CATALOG, the embedded catalog in the cluster:

  WAREHOUSE        claim:NAME, a PersistentVolumeClaim in NAMESPACE that several pods may mount (ReadWriteMany, or a single node)
  CATALOG_IMAGE    an image with Python and airflow-dcp-provider, such as that of your Airflow
"""


class OptionsError(ValueError):
    """A variable is missing or makes no sense; says which."""


@dataclass(frozen=True)
class Options:
    """The variables as values; see :data:`HELP`."""

    kubeconfig: Path
    namespace: str
    image: str
    context: str = ""
    namespace_2: str = ""
    service_account: str = "spark"
    pull_policy: str = "IfNotPresent"
    spark_version: str = "3.5"
    start_timeout: int = 300
    iceberg_jar: str = ""
    #: The claim of the warehouse that the embedded catalog and pods mount.
    claim: str = ""
    catalog_image: str = ""
    catalog: str = ""
    #: Begins the name of everything that this run makes.
    name: str = field(default_factory=lambda: f"e2e-{secrets.token_hex(3)}")

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> Options:
        """Read the variables.

        :raises OptionsError: naming what is wrong.
        """
        missing = [name for name in ("KUBECONFIG", "NAMESPACE", "IMAGE") if not variables.get(name)]
        if missing:
            raise OptionsError(f"{' and '.join(missing)} must be given")
        kubeconfig = Path(variables["KUBECONFIG"]).expanduser().resolve()
        if not kubeconfig.is_file():
            raise OptionsError(f"KUBECONFIG={variables['KUBECONFIG']}: there is no such file")
        if variables.get("NAMESPACE_2") == variables["NAMESPACE"]:
            raise OptionsError("NAMESPACE_2 must be another namespace than NAMESPACE")
        timeout = variables.get("START_TIMEOUT") or "300"
        if not timeout.isdecimal() or int(timeout) < 1:
            raise OptionsError(f"START_TIMEOUT={timeout} is no number of seconds")
        policy = variables.get("PULL_POLICY") or "IfNotPresent"
        if policy not in {"IfNotPresent", "Always", "Never"}:
            raise OptionsError(f"PULL_POLICY={policy} is none of IfNotPresent, Always, Never")
        image = variables["IMAGE"]
        return cls(
            kubeconfig=kubeconfig,
            namespace=variables["NAMESPACE"],
            image=image,
            context=variables.get("CONTEXT", ""),
            namespace_2=variables.get("NAMESPACE_2", ""),
            service_account=variables.get("SERVICE_ACCOUNT") or "spark",
            pull_policy=policy,
            spark_version=variables.get("SPARK_VERSION") or version_of(image),
            start_timeout=int(timeout),
            iceberg_jar=variables.get("ICEBERG_JAR", ""),
            claim=_claim(variables),
            catalog_image=variables.get("CATALOG_IMAGE", ""),
            catalog=variables.get("CATALOG", ""),
        )

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Every namespace that jobs run in."""
        return (self.namespace, self.namespace_2) if self.namespace_2 else (self.namespace,)

    @property
    def environments(self) -> dict[str, str]:
        """Environment -> its namespace."""
        return dict(zip(("test", "staging"), self.namespaces, strict=False))


def _claim(variables: Mapping[str, str]) -> str:
    """Return the claim that WAREHOUSE names; one on object storage is the catalog's own to know."""
    warehouse = variables.get("WAREHOUSE", "")
    if not warehouse or variables.get("CATALOG"):
        return ""
    kind, _, name = warehouse.partition(":")
    if kind != "claim" or not name:
        raise OptionsError(f"WAREHOUSE={warehouse}: without CATALOG it must be claim:NAME; any other warehouse needs its catalog")
    if not variables.get("CATALOG_IMAGE"):
        raise OptionsError("WAREHOUSE needs CATALOG_IMAGE, for the catalog in the cluster; or give CATALOG")
    return name


def version_of(image: str) -> str:
    """Return Spark's version as an image's tag says it (``spark:3.5.9-python3`` is 3.5.9), else 3.5."""
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    found = re.match(r"v?(\d+\.\d+(\.\d+)?)", tag)
    return found[1] if found else "3.5"
