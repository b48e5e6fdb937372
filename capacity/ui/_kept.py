"""What the core made of a plan, kept for every reader who asks the same.

A result is kept under a digest of the function and of all that it is given, so nothing stale is ever shown: other
arguments are another result. Results are shared between sessions; nobody writes into them.
"""

from __future__ import annotations

import hashlib
import itertools
import pickle
import weakref
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import streamlit as st

from capacity.plan import Plan

T = TypeVar("T")
# Tables and charts of a few kilobytes each: those of every page, and of the services that a meeting looks at.
_MOST_RESULTS = 1500
_DIGEST_BYTES = 16
_numbers = itertools.count()
_plans: dict[int, tuple[weakref.ref[Plan], int]] = {}


def result(make: Callable[..., T], *args: object, **named: object) -> T:
    """``make(*args, **named)``, from memory where it was made before.

    Parameters
    ----------
    make
        A pure function with a name of its own: all that its result depends on is among its arguments. Plans, alone or
        in a list or mapping, count by which object they are, all else by value.
    """
    found: T = _made(digest(make, args, named), lambda: make(*args, **named))
    return found


def digest(make: Callable[..., Any], args: tuple[object, ...], named: Mapping[str, object]) -> str:
    """Equal digests are equal values; equal values may have two, and are then only made once more."""
    parts = ([_told(a) for a in args], {k: _told(v) for k, v in named.items()})
    data = pickle.dumps((make.__module__, make.__qualname__, parts), protocol=pickle.HIGHEST_PROTOCOL)
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()


def _made(digest: str, _make: Callable[[], Any]) -> Any:
    del digest
    return _make()


_made = st.cache_resource(max_entries=_MOST_RESULTS, show_spinner=False)(_made)


def _told(value: object) -> object:
    """``value`` with plans, which are megabytes and never change, as their numbers."""
    if isinstance(value, Plan):
        return ("plan", _number(value))
    if isinstance(value, list | tuple):
        return type(value), [_told(v) for v in value]
    if isinstance(value, dict):
        return {k: _told(v) for k, v in value.items()}
    return value


def _number(plan: Plan) -> int:
    """A number that no other plan of this process has or had."""
    known = _plans.get(id(plan))
    if known is None or known[0]() is not plan:
        _plans[id(plan)] = known = (weakref.ref(plan), next(_numbers))
        weakref.finalize(plan, _forget, id(plan), known[1])
    return known[1]


def _forget(identity: int, number: int) -> None:
    if _plans.get(identity, (None, -1))[1] == number:
        del _plans[identity]
