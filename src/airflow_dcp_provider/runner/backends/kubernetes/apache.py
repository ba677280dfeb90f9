"""The Apache backend: attempts as SparkApplications of the Apache Spark Kubernetes operator (``spark.apache.org/v1``).

Experimental: it satisfies the contract of backends on a real API server, and has not run on a real operator yet. Only the
resource's form and the operator's words differ from the Kubeflow backend; what is written, and in which order, is the same.
"""

from __future__ import annotations

from typing import Any

from airflow_dcp_provider.model.execution import AttemptRequest
from airflow_dcp_provider.runner.backends.kubernetes.apache_application import apache_application
from airflow_dcp_provider.runner.backends.kubernetes.kubeflow import KubeflowBackend
from airflow_dcp_provider.runner.backends.kubernetes.names import APACHE_GROUP_VERSION


class ApacheBackend(KubeflowBackend):
    """Runs attempts through the Apache Spark Kubernetes operator."""

    name = "apache"
    group_version = APACHE_GROUP_VERSION

    def render(self, request: AttemptRequest) -> dict[str, Any]:
        """Return the resource that :meth:`create` would make.

        :raises DcpEnvironmentError: as :meth:`KubeflowBackend.render` does.
        """
        return apache_application(super().render(request), self._environment)
