"""Prophet without the second of CPU that its pictures take to load; they are drawn when they are asked for.

Prophet imports its plotting, and that Matplotlib, in every process that fits a model. Nothing here is plotted. While
Prophet is imported, functions stand in the place of those two that it takes from there, which load the real ones at
their first call; whoever imports ``prophet.plot`` gets the real module.

The module imports Prophet, so it is imported late.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

_PLOTTING = "prophet.plot"
_TAKEN = ("plot", "plot_components")


def _later(name: str) -> Callable[..., Any]:
    def draw(*args: Any, **kwargs: Any) -> Any:
        return getattr(import_module(_PLOTTING), name)(*args, **kwargs)

    return draw


@contextmanager
def _plotting_later() -> Iterator[None]:
    """Nothing is put in the place of a module that is there already."""
    if _PLOTTING in sys.modules:
        yield
        return
    module = ModuleType(_PLOTTING)
    for name in _TAKEN:
        setattr(module, name, _later(name))
    sys.modules[_PLOTTING] = module
    try:
        yield
    finally:
        sys.modules.pop(_PLOTTING, None)


with _plotting_later():
    from prophet import Prophet
    from prophet.models import CmdStanPyBackend, IStanBackend

__all__ = ["CmdStanPyBackend", "IStanBackend", "Prophet"]
