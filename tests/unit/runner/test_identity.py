"""Keys, ids and fingerprints."""

from __future__ import annotations

import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_dcp_provider.runner.identity import execution_id, fingerprint, idempotency_key

texts = st.text(max_size=12)
parts = st.tuples(texts, texts, texts, texts, st.integers(-1, 3), st.integers(1, 3), texts)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(parts, parts)
def test_keys_are_equal_exactly_when_their_parts_are(one, other):
    assert (idempotency_key(*one) == idempotency_key(*other)) == (one == other)


@given(st.lists(st.sampled_from(["a", "/", '"', ",", "a/b", '","']), min_size=5, max_size=5))
def test_no_separator_can_be_forged(words):
    key = idempotency_key(words[0], words[1], words[2], words[3], -1, 1, words[4])
    assert json.loads(key) == [*words[:4], -1, 1, words[4]]


@given(texts)
def test_an_execution_id_is_a_stable_uuid(key):
    assert execution_id(key) == execution_id(key)
    assert uuid.UUID(execution_id(key)).version == 5


def test_ids_never_change_between_versions():
    """A running execution must be found by the next version of this package."""
    key = idempotency_key("team/job", "prod", "job", "scheduled__2013-01-05", -1, 1, "n")
    assert key == '["team/job","prod","job","scheduled__2013-01-05",-1,1,"n"]'
    assert execution_id(key) == "e0ded27e-9fb4-589d-9c4a-11d544a5704f"
    assert fingerprint({"b": [1, "é"], "a": None}) == "a44633ba036df25280e4fd9ef09da6f54dfe6d3611c755e31f993ab16f108f34"


@given(st.dictionaries(texts, json_values, max_size=4))
def test_the_order_of_keys_does_not_matter_for_a_fingerprint(value):
    shuffled = json.loads(json.dumps(dict(reversed(value.items()))))
    assert fingerprint(shuffled) == fingerprint(value)


@given(st.lists(st.integers(), min_size=2, max_size=4, unique=True))
def test_the_order_of_lists_matters_for_a_fingerprint(values):
    assert fingerprint({"a": values}) != fingerprint({"a": values[::-1]})


@pytest.mark.parametrize(("value", "error"), [({"a": float("nan")}, ValueError), ({"a": {1, 2}}, TypeError)])
def test_what_is_no_json_has_no_fingerprint(value, error):
    with pytest.raises(error):
        fingerprint(value)
