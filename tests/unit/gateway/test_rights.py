"""The rights that ``pretzel environments check`` asks for are those of the Role that is to be applied."""

from __future__ import annotations

from pathlib import Path

import yaml

from airflow_dcp_provider.runner.backends.kubernetes.rights import rights

ROLE = Path(__file__).resolve().parents[3] / "deploy" / "kubernetes" / "role.yaml"


def test_the_rights_are_the_ready_roles() -> None:
    roles = [document for document in yaml.safe_load_all(ROLE.read_text()) if document["kind"] == "Role"]
    (role,) = (role for role in roles if role["metadata"]["name"] == "spark-runner")
    assert [right.rule() for right in rights()] == role["rules"]
