from __future__ import annotations

import heapq
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.errors import UsageError
from capacity.saturation import erlang_b, erlang_c, safe_utilisation, wait_quantile_ms

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


@pytest.mark.parametrize(("servers", "slo"), [(1, 100.0), (4, 40.0), (16, 40.0)])
def test_rho_against_a_discrete_event_simulation(servers: int, slo: float) -> None:
    """Poisson, exponential: within .02 of what a simulated queue says, from both sides."""
    rho = safe_utilisation(servers, 10.0, slo)
    assert _simulated_p99_wait(servers, rho - 0.02) + 10.0 < slo
    assert _simulated_p99_wait(servers, rho + 0.02) + 10.0 > slo


def _simulated_p99_wait(servers: int, utilisation: float, service: float = 10.0, requests: int = 200_000) -> float:
    """P99 wait of a first-come-first-served queue, the first tenth left out."""
    rng = np.random.default_rng(20)
    arrivals = np.cumsum(rng.exponential(service / (servers * utilisation), requests)).tolist()
    services = rng.exponential(service, requests).tolist()
    free, waits = [0.0] * servers, []
    for arrival, length in zip(arrivals, services, strict=True):
        start = max(arrival, free[0])
        waits.append(start - arrival)
        heapq.heapreplace(free, start + length)
    return float(np.quantile(waits[requests // 10 :], 0.99))
