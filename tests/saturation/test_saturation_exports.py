from __future__ import annotations

import doctest
import importlib
import pkgutil

import capacity.saturation as room


def test_all_is_sorted_and_there() -> None:
    assert room.__all__ == sorted(room.__all__)
    assert all(hasattr(room, name) for name in room.__all__)


def test_examples_in_docstrings_hold() -> None:
    tried = 0
    for module in pkgutil.iter_modules(room.__path__, "capacity.saturation."):
        result = doctest.testmod(importlib.import_module(module.name))
        assert result.failed == 0, module.name
        tried += result.attempted
    assert tried > 0
