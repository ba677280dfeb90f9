"""A circuit opens after failures in a row and heals by one probe."""

from __future__ import annotations

import threading

from airflow_dcp_provider.gateway.circuit import Circuit, Circuits


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> Circuit:
    circuit = Circuit(failures=2, cooling=30.0, clock=clock)
    circuit.failed()
    circuit.failed()
    return circuit


def test_it_opens_after_failures_in_a_row() -> None:
    circuit = Circuit(failures=2, clock=Clock())
    circuit.failed()
    circuit.succeeded()
    circuit.failed()
    assert (circuit.state, circuit.allows()) == ("closed", True)
    circuit.failed()
    assert (circuit.state, circuit.allows()) == ("open", False)


def test_after_cooling_one_caller_probes_and_heals_it() -> None:
    clock = Clock()
    circuit = opened(clock)
    clock.now += 29.9
    assert (circuit.state, circuit.allows()) == ("open", False)
    clock.now += 0.1
    assert circuit.state == "half-open"
    assert [circuit.allows(), circuit.allows()] == [True, False]
    circuit.succeeded()
    assert (circuit.state, circuit.allows()) == ("closed", True)


def test_a_failed_probe_opens_it_again() -> None:
    clock = Clock()
    circuit = opened(clock)
    clock.now += 30
    assert circuit.allows()
    circuit.failed()
    assert (circuit.state, circuit.allows()) == ("open", False)
    clock.now += 30
    assert circuit.allows()


def test_a_probe_that_never_reports_is_followed_by_another() -> None:
    clock = Clock()
    circuit = opened(clock)
    clock.now += 30
    assert circuit.allows()
    clock.now += 30
    assert [circuit.allows(), circuit.allows()] == [True, False]


def test_failures_while_it_is_open_do_not_keep_it_open() -> None:
    clock = Clock()
    circuit = opened(clock)
    clock.now += 20
    circuit.failed()
    clock.now += 10
    assert circuit.state == "half-open"


def test_of_many_threads_one_probes() -> None:
    clock = Clock()
    circuit = opened(clock)
    clock.now += 30
    allowed: list[bool] = []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        allowed.append(circuit.allows())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(allowed) == [False] * 7 + [True]


def test_each_cluster_has_one_circuit() -> None:
    circuits = Circuits()
    assert circuits.of("k8s_eu", "eu") is circuits.of("k8s_eu", "eu")
    assert circuits.of("k8s_eu", "eu") is not circuits.of("k8s_us", "us")
