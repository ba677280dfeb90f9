"""Reads what a list or a watch of applications answers: of each object no more than its name and its state.

The objects are large (a spec, the request as an annotation, managed fields) and there may be ten thousand. Typed decoding skips
everything else without ever making Python objects of it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import msgspec

from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.backends.kubernetes import apache_states
from airflow_dcp_provider.runner.backends.kubernetes.problems import KubernetesProblem, problem_of_answer
from airflow_dcp_provider.runner.backends.kubernetes.states import submitted_twice

#: In place of a state: the application says FAILED, and its driver may run all the same.
IN_DOUBT = "in doubt"

#: The Apache operator's words for a failure, and for what comes after an end and does not say which.
_APACHE_FAILURES = apache_states.operator_states(ExecutionState.FAILED)


class _ApplicationState(msgspec.Struct, rename="camel"):
    state: str = ""
    error_message: str = ""


class _CurrentState(msgspec.Struct, rename="camel"):
    current_state_summary: str = ""
    message: str = ""


class _Status(msgspec.Struct, rename="camel"):
    """Both operators': Kubeflow's ``applicationState``, Apache's ``currentState`` and those before it."""

    application_state: _ApplicationState | None = None
    current_state: _CurrentState | None = None
    state_transition_history: dict[str, _CurrentState] | None = None


class _Metadata(msgspec.Struct, rename="camel"):
    name: str = ""
    resource_version: str = ""


class _Object(msgspec.Struct):
    #: An answer of kind ``Status`` has a text here.
    metadata: _Metadata
    status: _Status | str | None = None


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _ListMetadata(msgspec.Struct, rename={"resource_version": "resourceVersion", "next_page": "continue"}):
    resource_version: str = ""
    next_page: str = ""


class _List(msgspec.Struct):
    metadata: _ListMetadata
    items: list[_Object]


class _Refusal(msgspec.Struct):
    code: int = 0


_events = msgspec.json.Decoder(_Event)
_objects = msgspec.json.Decoder(_Object)
_lists = msgspec.json.Decoder(_List)
_refusals = msgspec.json.Decoder(_Refusal)


@dataclass(frozen=True)
class Page:
    """One page of a list.

    :param states: name -> state.
    :param version: the resource version that the whole list is of.
    :param next_page: the token of the page after this one; empty for the last.
    """

    states: dict[str, str]
    version: str
    next_page: str


@dataclass(frozen=True, slots=True)
class Change:
    """One event of a watch.

    :param version: the resource version up to which everything has now been said.
    :param name: which application; empty for a bookmark, which is about none.
    :param state: its state, as its operator spells it; None when it is gone.
    """

    version: str
    name: str = ""
    state: str | None = None


def read_page(body: bytes, where: str) -> Page:
    """Return a page of a list.

    :param where: what was asked, for the message.
    :raises KubernetesProblem: when it is no list.
    """
    try:
        found = _lists.decode(body)
    except msgspec.MsgspecError as error:
        raise _unreadable(where, error) from error
    states = {item.metadata.name: _state(item) for item in found.items}
    return Page(states, found.metadata.resource_version, found.metadata.next_page)


def read_state(body: bytes, where: str) -> str:
    """Return the state of one application.

    :raises KubernetesProblem: when it is none.
    """
    try:
        return _state(_objects.decode(body))
    except msgspec.MsgspecError as error:
        raise _unreadable(where, error) from error


def read_change(line: bytes, where: str) -> Change:
    """Return one event of a watch.

    :raises KubernetesProblem: what an event of type ``ERROR`` says (410: the resource version is too old), or that it is no event.
    """
    try:
        event = _events.decode(line)
        if event.type == "ERROR":
            raise problem_of_answer(where, _refusals.decode(event.object).code, bytes(event.object).decode(errors="replace"))
        found = _objects.decode(event.object)
    except msgspec.MsgspecError as error:
        raise _unreadable(where, error) from error
    version = found.metadata.resource_version
    match event.type:
        case "BOOKMARK":
            return Change(version)
        case "DELETED":
            return Change(version, found.metadata.name)
        case _:
            return Change(version, found.metadata.name, _state(found))


def _state(found: _Object) -> str:
    """Return the state, as one shared text for all applications that are in it."""
    status = found.status
    if not isinstance(status, _Status):
        return ""
    if (told := status.application_state) is not None:
        word, failed = told.state, bool(told.error_message)
    elif status.current_state is not None:
        word = status.current_state.current_state_summary
        failed = word in _APACHE_FAILURES
    else:
        return ""
    if failed and submitted_twice({"status": msgspec.to_builtins(status)}):
        return IN_DOUBT
    return sys.intern(word)


def _unreadable(where: str, error: Exception) -> KubernetesProblem:
    return KubernetesProblem(f"{where} was answered with something that cannot be read: {error}", ambiguous=True)
