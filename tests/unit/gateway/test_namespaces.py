"""Namespaces: the document's, safe for Kubernetes, and never one for two users or teams."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_dcp_provider.gateway.namespaces import namespace_for, template_fault
from airflow_dcp_provider.model.cluster import Cluster
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.environment_defaults import environment_defaults
from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.names import is_namespace

EU = Cluster("eu", "k8s_eu")


def of(template: str, team: str = "", user: str = "", name: str = "test") -> str:
    return namespace_for(Environment(name, backend="kubeflow", namespace_template=template), EU, team, user)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ("local", "sjns-playground-local-ana"),
        ("test", "sjns-playground-test"),
        ("staging", "sjns-growth-staging"),
        ("prod", "sjns-growth-prod"),
        ("playground_bob", "sjns-playground-local-bob"),
    ],
)
def test_the_documents_namespaces(environment: str, expected: str) -> None:
    found = replace(environment_defaults(environment, "kubeflow"), name=environment)
    assert namespace_for(found, EU, "growth", "ana") == expected


def test_the_user_is_who_triggered_the_run_else_the_configured_one() -> None:
    environment = Environment("local", namespace_template="x-{user}", user="robot")
    assert namespace_for(environment, EU, "", "ana") == "x-ana"
    assert namespace_for(environment, EU, "", "") == "x-robot"
    with pytest.raises(DcpEnvironmentError, match="needs a user, and there is none") as caught:
        namespace_for(replace(environment, user=""), EU, "", "")
    assert (caught.value.code, caught.value.hint) == (
        "DCP481",
        "trigger the run as a user, or set the field `user` of the connection dcp_local",
    )


def test_a_playground_is_its_own_users_whoever_triggers() -> None:
    environment = Environment("playground_ana", namespace_template="x-{user}", user="robot")
    assert namespace_for(environment, EU, "", "bob") == "x-ana"


def test_a_clusters_own_namespace_is_above_the_template() -> None:
    assert namespace_for(Environment("test", namespace_template="x"), replace(EU, namespace="spark"), "", "") == "spark"


def test_a_team_that_is_not_served_gets_no_namespace() -> None:
    environment = Environment("test", teams=("growth",), namespace_template="sjns-{team}")
    with pytest.raises(DcpEnvironmentError, match="does not serve the team `search`") as caught:
        namespace_for(environment, replace(EU, namespace="spark"), "search")
    assert caught.value.code == "DCP418"
    assert namespace_for(environment, EU, "growth") == "sjns-growth"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("", "there is no namespace template"),
        ("x-{group}", "names `{group}`"),
        ("x-{team:3}", "has more than a name between braces"),
        ("x-{team", "cannot be read"),
        ("X-{team}", "makes no Kubernetes namespace"),
        ("-{team}", "makes no Kubernetes namespace"),
        ("x-{user}{team}", "has no `-` between `{user}` and `{team}`"),
        ("{user}x{team}", "has no `-` between `{user}` and `{team}`"),
        ("x-{team}-{user}{environment}", "has no `-` between `{user}` and `{environment}`"),
        ("a" * 44 + "{team}", "leaves less than 20 of 63 characters"),
    ],
)
def test_a_bad_template_is_explained(template: str, said: str) -> None:
    with pytest.raises(DcpEnvironmentError) as caught:
        of(template, "growth")
    assert caught.value.code == "DCP481"
    assert said in caught.value.message
    assert "dcp_test" in caught.value.hint


def test_names_side_by_side_would_make_one_namespace_of_two() -> None:
    """Nobody could tell where the user ends: a + bc and ab + c."""
    found = set()
    for user, team in (("a", "bc"), ("ab", "c")):
        try:
            found.add(of("x-{user}{team}", team, user))
        except DcpEnvironmentError as error:
            found.add(f"{user}, {team}: {error.code}")
    assert len(found) == 2


def test_what_looks_like_a_hashed_name_is_hashed_itself() -> None:
    taken = of("x-{user}", user="Ana")
    assert taken.startswith("x-ana-")
    assert of("x-{user}", user=taken.removeprefix("x-")) != taken


def test_environments_names_are_read_as_they_are() -> None:
    assert of("x-{environment}", name="playground_ana_b") == "x-playground-ana-b"


ANYBODY = st.one_of(
    st.text(min_size=1, max_size=80),
    st.text("ab-_.", min_size=1, max_size=6),
    st.from_regex(r"[a-b-]{0,3}-?[0-9a-f]{12}", fullmatch=True),
)
TEMPLATES = st.sampled_from(["sjns-playground-local-{user}", "x-{team}-{environment}", "{team}-{user}", "{user}-x{team}", "{team}"])


@given(TEMPLATES, st.tuples(ANYBODY, ANYBODY), st.tuples(ANYBODY, ANYBODY))
def test_namespaces_are_safe_and_different(template: str, one: tuple[str, str], other: tuple[str, str]) -> None:
    first, second = of(template, *one), of(template, *other)
    assert is_namespace(first)
    relevant = [index for index, name in enumerate(("{team}", "{user}")) if name in template]
    assert (first == second) == all(one[index] == other[index] for index in relevant)


@given(st.text(max_size=70))
def test_any_template_is_either_explained_or_makes_namespaces(template: str) -> None:
    if template and not template_fault(template):
        assert is_namespace(of(template, "Team!", "User!"))
