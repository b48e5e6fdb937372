"""The public names are a promise: sorted, documented, and quick to import."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import capacity


def test_the_names_are_sorted_and_each_leads_somewhere_documented() -> None:
    assert list(capacity.__all__) == sorted(capacity.__all__) == sorted(capacity._HOMES)
    for name in capacity.__all__:
        assert inspect.getdoc(getattr(capacity, name)), name
    assert set(capacity.__all__) <= set(dir(capacity))


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(AttributeError, match="public: CapacityError, Config"):
        _ = capacity.nothing


def test_importing_it_imports_nothing_heavy() -> None:
    heavy = "{'pandas', 'numpy', 'prophet', 'streamlit', 'boto3', 'pulp'} & set(sys.modules)"
    code = f"import sys, capacity, capacity.cli; assert not {heavy}, {heavy}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
