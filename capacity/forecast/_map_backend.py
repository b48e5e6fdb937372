"""A back end for Prophet that needs no compiled model: the fit of `_map_fit` behind Prophet's own interface.

Prophet picks its back end from a closed list of names, so another one is set on the made model: `by_numpy`.

The module imports Prophet, so it is imported late. What it multiplies are matrices of a thousand rows, where a second
BLAS thread costs more than it brings: worker processes set one (``OPENBLAS_NUM_THREADS=1``) before NumPy is loaded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from capacity.domain import Floats
from capacity.forecast._map_fit import MapFit, fit_map
from capacity.forecast._map_posterior import FLAT, LINEAR, Posterior, posterior_of
from capacity.forecast._prophet import CmdStanPyBackend, IStanBackend

PARTS = ("k", "m", "delta", "beta")


def by_numpy(model: Any) -> Any:
    """``model`` (a Prophet not fitted yet), to be fitted without CmdStan where that is possible."""
    model.stan_backend = NumpyMap()
    return model


class NumpyMap(IStanBackend):  # type: ignore[misc]
    """MAP of linear and flat growth in NumPy and SciPy; CmdStan for logistic growth and for sampling.

    Options of CmdStan given to ``Prophet.fit`` (algorithm, seed, iter, ...) steer a search that is not made here; they
    are kept for CmdStan. ``init`` (or ``inits``) is where the search starts.

    Attributes
    ----------
    stan_fit
        `MapFit` after a fit made here, CmdStan's own object after one of CmdStan.
    """

    def __init__(self) -> None:
        super().__init__()
        self.newton_fallback = False  # tens of times slower, and Prophet's default under 100 points
        self._cmdstan: Any = None

    @staticmethod
    def get_type() -> str:
        """The listed back end whose place this one takes: copies that Prophet makes by name get that one."""
        return "CMDSTANPY"

    def load_model(self) -> None:
        """Nothing to load: CmdStan's model is loaded once it is needed."""

    def fit(self, stan_init: Mapping[str, Any], stan_data: Mapping[str, Any], **kwargs: Any) -> dict[str, Floats]:
        """The mode of the posterior: (1, n) arrays by the names of Stan's model."""
        if int(stan_data["trend_indicator"]) not in (LINEAR, FLAT):
            return self._by_cmdstan(stan_init, stan_data, {"algorithm": "LBFGS", **kwargs})
        posterior = posterior_of(stan_data)
        found = _searched(posterior, _start(stan_init, kwargs.get("init", kwargs.get("inits"))))
        if found is None:
            return self._by_cmdstan(stan_init, stan_data, {"algorithm": "LBFGS", **kwargs})
        self.stan_fit = found
        return _named(found, posterior.basis @ found.theta[: posterior.n_trend], int(stan_data["S"]))

    def sampling(
        self, stan_init: Mapping[str, Any], stan_data: Mapping[str, Any], samples: int, **kwargs: Any
    ) -> dict[str, Floats]:
        """Draws of the posterior, by CmdStan."""
        backend = self._loaded()
        params: dict[str, Floats] = backend.sampling(stan_init, stan_data, samples, **kwargs)
        self.stan_fit = backend.stan_fit
        return params

    def cleanup(self) -> None:
        """Remove CmdStan's files, where it wrote any."""
        if self._cmdstan is not None:
            self._cmdstan.cleanup()

    def _loaded(self) -> Any:
        if self._cmdstan is None:
            self._cmdstan = CmdStanPyBackend()
        self._cmdstan.set_options(newton_fallback=self.newton_fallback)
        return self._cmdstan

    def _by_cmdstan(
        self, stan_init: Mapping[str, Any], stan_data: Mapping[str, Any], kwargs: Mapping[str, Any]
    ) -> dict[str, Floats]:
        backend = self._loaded()
        params: dict[str, Floats] = backend.fit(stan_init, stan_data, **kwargs)
        self.stan_fit = backend.stan_fit
        return params


def _searched(posterior: Posterior, start: Floats) -> MapFit | None:
    """The mode; None where numbers overflow (features of absurd size), which CmdStan may judge."""
    try:
        with np.errstate(all="ignore"):
            found = fit_map(posterior, start)
    except (np.linalg.LinAlgError, ValueError):
        return None
    return found if np.isfinite(found.log_posterior) and np.isfinite(found.theta).all() else None


def _start(given: Mapping[str, Any], wished: Mapping[str, Any] | None) -> Floats:
    """Theta to start from: Prophet's own, or the caller's where a part has the right size."""
    parts = []
    for name in PARTS:
        part = np.atleast_1d(np.asarray(given[name], dtype=float)).ravel()
        other = np.ravel(np.asarray((wished or {}).get(name, ()), dtype=float))
        parts.append(other if other.shape == part.shape else part)
    return np.concatenate(parts)


def _named(found: MapFit, trend: Floats, n_changes: int) -> dict[str, Floats]:
    k, m, delta, beta = np.split(found.theta, [1, 2, 2 + n_changes])
    values: dict[str, Any] = {"lp__": found.log_posterior, "k": k, "m": m, "delta": delta, "sigma_obs": found.sigma}
    values.update(beta=beta, trend=trend)
    return OrderedDict((name, np.reshape(value, (1, -1))) for name, value in values.items())
