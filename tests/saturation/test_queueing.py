from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.queueing import draw, exact_rho, exact_tail, simulate
from capacity.errors import UsageError
from capacity.saturation import erlang_b, erlang_c, safe_utilisation, wait_quantile_ms
from capacity.saturation.queueing import delay_probability

SERVERS = st.integers(1, 64)
VARIATION = st.floats(0.0, 8.0)


@pytest.mark.parametrize(
    ("servers", "offered", "lost"),
    # Closed forms: a/(1+a) for one server, a^2/2/(1+a+a^2/2) for two; and the published table for ten.
    [(1, 1.0, 0.5), (1, 0.25, 0.2), (2, 1.0, 0.2), (10, 4.461, 0.01), (10, 6.216, 0.05), (0, 3.0, 1.0)],
)
def test_erlang_b_known_values(servers: int, offered: float, lost: float) -> None:
    assert erlang_b(servers, offered) == pytest.approx(lost, abs=5e-5)


@given(servers=st.integers(1, 40), offered=st.floats(0.01, 60))
def test_erlang_b_equals_the_sum_it_recurs(servers: int, offered: float) -> None:
    terms = [math.exp(n * math.log(offered) - math.lgamma(n + 1)) for n in range(servers + 1)]
    assert erlang_b(servers, offered) == pytest.approx(terms[-1] / sum(terms), rel=1e-9)


@pytest.mark.parametrize(
    ("servers", "offered", "waits"),
    # One server: rho. Two: 2 rho^2/(1+rho). Five at 4 Erlang: 0.5541 in the tables.
    [(1, 0.3, 0.3), (2, 1.0, 1 / 3), (5, 4.0, 0.5541), (3, 3.0, 1.0), (3, 7.0, 1.0)],
)
def test_erlang_c_known_values(servers: int, offered: float, waits: float) -> None:
    assert erlang_c(servers, offered) == pytest.approx(waits, abs=5e-5)


@given(service=st.floats(0.5, 50), times=st.floats(1.2, 30))
def test_one_server_meets_its_closed_form(service: float, times: float) -> None:
    """M/M/1: P(W > t) = rho exp(-(1 - rho) t / S), so rho* solves ln(100 rho)/(1 - rho) = (SLO - S)/S."""
    rho = safe_utilisation(1, service, service * times)
    assert rho >= 0.01 - 1e-9
    if rho > 0.0100001:
        assert math.log(100 * rho) / (1 - rho) == pytest.approx(times - 1, rel=1e-6)


@given(servers=SERVERS, slo=st.floats(1, 500), more=st.floats(0, 200), cs2=VARIATION, worse=st.floats(0, 4))
def test_rho_grows_with_servers_and_slo_and_falls_with_variability(
    servers: int, slo: float, more: float, cs2: float, worse: float
) -> None:
    rho = safe_utilisation(servers, 10.0, slo, cs2)
    assert 0 <= rho <= 1
    assert safe_utilisation(servers, 10.0, slo + more, cs2) >= rho - 1e-9
    assert safe_utilisation(servers + 1, 10.0, slo, cs2) >= rho - 1e-9
    assert safe_utilisation(servers, 10.0, slo, cs2 + worse) <= rho + 1e-9
    assert (
        safe_utilisation(servers, 10.0, slo, 1.0, cs2 + worse) <= safe_utilisation(servers, 10.0, slo, 1.0, cs2) + 1e-9
    )


@given(servers=SERVERS, slo=st.floats(10.1, 300), cs2=st.floats(0.5, 4))
def test_rho_is_the_last_utilisation_within_the_slo(servers: int, slo: float, cs2: float) -> None:
    rho = safe_utilisation(servers, 10.0, slo, cs2)
    assert wait_quantile_ms(servers, rho, 10.0, cs2) + 10.0 <= slo + 1e-6
    if rho < 0.9999:
        assert wait_quantile_ms(servers, rho + 1e-4, 10.0, cs2) + 10.0 > slo - 1e-6


def test_an_idle_server_that_misses_the_slo_is_never_safe() -> None:
    assert safe_utilisation(16, 50.0, 49.0) == 0.0
    assert safe_utilisation(16, 50.0, 50.0) > 0.0  # exactly the service time: while 99 % need not wait


def test_nothing_varies_nothing_waits() -> None:
    assert safe_utilisation(4, 10.0, 20.0, 0.0, 0.0) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(
    "arguments",
    [(0, 10.0, 100.0), (2, 0.0, 100.0), (2, 10.0, 0.0), (2, 10.0, 100.0, -1.0), (2, 10.0, 100.0, 1.0, 1.0, 1.0)],
)
def test_wrong_arguments_are_named(arguments: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="safe_utilisation"):
        safe_utilisation(*arguments)  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        erlang_b(-1, 1.0)
    with pytest.raises(UsageError):
        erlang_c(0, 1.0)


# --- against the truth -------------------------------------------------------------------------------------

# An SLO a cell at which the utilisation is neither near 0 nor near 1, where an error shows most.
CELLS = [(1, 1.0, 12.0), (1, 4.0, 20.0), (4, 1.0, 4.0), (4, 4.0, 5.0), (16, 1.0, 1.6), (16, 4.0, 2.0), (64, 1.0, 1.2),
         (64, 4.0, 1.3)]  # fmt: skip


def _simulated_p99_wait(servers: int, rho: float, service_cv2: float, arrival_cv2: float = 1.0) -> float:
    """P99 wait in service times, the first tenth of the requests left out."""
    rng, requests = np.random.default_rng(20), 300_000
    gaps = draw(rng, arrival_cv2, requests) / (servers * rho)
    waits = simulate(servers, np.cumsum(gaps), draw(rng, service_cv2, requests))
    return float(np.quantile(waits[requests // 10 :], 0.99))


@pytest.mark.parametrize(("servers", "service_cv2", "slo"), CELLS)
def test_rho_against_a_discrete_event_simulation(servers: int, service_cv2: float, slo: float) -> None:
    """Within .02 of what a simulated queue says, from both sides."""
    rho = safe_utilisation(servers, 1.0, slo, service_cv2)
    assert _simulated_p99_wait(servers, rho - 0.02, service_cv2) + 1.0 < slo
    assert _simulated_p99_wait(servers, rho + 0.02, service_cv2) + 1.0 > slo


@pytest.mark.parametrize(("servers", "slo"), [(4, 5.0), (16, 2.5)])
def test_bursty_arrivals_against_a_discrete_event_simulation(servers: int, slo: float) -> None:
    rho = safe_utilisation(servers, 1.0, slo, 1.0, 4.0)
    assert _simulated_p99_wait(servers, rho - 0.02, 1.0, 4.0) + 1.0 < slo
    assert _simulated_p99_wait(servers, rho + 0.02, 1.0, 4.0) + 1.0 > slo


def test_the_simulation_is_the_one_of_ciw() -> None:
    """Our recursion and an independent discrete-event simulator give every request the same wait."""
    ciw = pytest.importorskip("ciw", reason="ciw, a test dependency, is not installed")
    rng, requests = np.random.default_rng(3), 4000
    for servers, service_cv2 in ((1, 4.0), (4, 1.0), (16, 4.0)):
        gaps, lengths = draw(rng, 1.0, requests) / (servers * 0.9), draw(rng, service_cv2, requests)
        network = ciw.create_network(
            arrival_distributions=[ciw.dists.Sequential([*gaps.tolist(), float("inf")])],
            service_distributions=[ciw.dists.Sequential(lengths.tolist())],
            number_of_servers=[servers],
        )
        queue = ciw.Simulation(network)
        queue.simulate_until_max_time(float(gaps.sum()) + 1000.0)
        records = sorted(queue.get_all_records(), key=lambda r: r.arrival_date)
        waits = simulate(servers, np.cumsum(gaps), _in_order_of_start(records, lengths))
        assert [r.waiting_time for r in records] == pytest.approx(waits.tolist(), abs=1e-6)
        assert max(waits) > 1.0


def _in_order_of_start(records: list[Any], lengths: Any) -> Any:
    """The service that ciw gave each arrival: first come, first served, so by position."""
    given = np.array([r.service_time for r in records])
    assert sorted(given) == pytest.approx(sorted(lengths.tolist()))
    return given


@pytest.mark.parametrize(("servers", "service_cv2", "slo"), [*CELLS, (2, 4.0, 10.0), (8, 4.0, 3.0), (32, 8.0, 2.0)])
def test_rho_against_the_exact_solution(servers: int, service_cv2: float, slo: float) -> None:
    off = safe_utilisation(servers, 1.0, slo, service_cv2) - exact_rho(servers, slo, service_cv2)
    assert abs(off) < (0.0005 if service_cv2 == 1 or servers == 1 else 0.012 if service_cv2 > 4 else 0.006)


@pytest.mark.parametrize(
    ("servers", "service_cv2", "slo"), [(4, 1.0, 4.0), (1, 4.0, 20.0), (4, 4.0, 5.0), (16, 4.0, 2.0)]
)
def test_bursty_arrivals_against_the_exact_solution(servers: int, service_cv2: float, slo: float) -> None:
    """Exact with exponential services, never bold, at most .025 too careful where both are bursty."""
    off = safe_utilisation(servers, 1.0, slo, service_cv2, 4.0) - exact_rho(servers, slo, service_cv2, 4.0)
    assert (-0.0005 if service_cv2 == 1 else -0.025) < off < (0.0005 if service_cv2 == 1 else 0.004)


@pytest.mark.parametrize(("servers", "arrival_cv2", "rho"), [(1, 4.0, 0.5), (5, 9.0, 0.95), (64, 2.0, 0.8)])
def test_delay_of_bursty_arrivals_is_exact_for_exponential_services(
    servers: int, arrival_cv2: float, rho: float
) -> None:
    waits = delay_probability(servers, rho, 1.0, arrival_cv2)
    assert waits == pytest.approx(exact_tail(servers, rho, 1.0, arrival_cv2, 0.0), rel=1e-5)
    assert delay_probability(servers, 1.0, 1.0, arrival_cv2) == 1.0


@given(servers=SERVERS, rho=st.floats(0.05, 0.97), more=st.floats(0, 0.02), cv2=st.floats(1, 9), burst=st.floats(1, 9))
def test_the_wait_never_falls_as_load_grows(servers: int, rho: float, more: float, cv2: float, burst: float) -> None:
    less = wait_quantile_ms(servers, rho, 10.0, cv2, burst)
    assert wait_quantile_ms(servers, rho + more, 10.0, cv2, burst) >= less - 1e-6 * (1 + less)
