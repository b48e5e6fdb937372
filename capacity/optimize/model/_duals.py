"""What one unit of a requirement is worth at a plan, from the linear programme around it.

The duals of a MIP do not exist, and solvers report zeros for them. With every integer fixed, too, a row of integers
alone (demand, a quota) has no price. So what is chosen stays chosen (types, spreads, purchases of whole instances),
and counts may move a little around the plan. Such duals rank what is worth solving again; they are no answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from capacity.domain import Floats
from capacity.errors import UsageError
from capacity.optimize.model._words import MixModel

if TYPE_CHECKING:
    import pandas as pd

DUAL_COLUMNS = ("family", "unit", "month", "key", "resource", "dual_usd_per_unit")


def duals(model: MixModel, values: Mapping[Any, float] | None = None, free_count: float = 1.0) -> pd.DataFrame:
    """Price of each row of ``model`` at a plan: what one unit more of its right-hand side adds to the cost.

    Parameters
    ----------
    model
        As :func:`build_model` made it.
    values
        The plan by variable; the variables' own values where absent.
    free_count
        How far n, r and p may move from the plan, in instances per zone. 0 fixes them too: then only rows with
        commitments bought by the dollar, reservations or the switching penalty have a price.

    Returns
    -------
    pandas.DataFrame
        family, unit, month (YYYY-MM), key, resource and dual_usd_per_unit: USD over the horizon by unit of the row
        (demand, instance, vCPU, $/h of commitment). Negative where more of a limit saves. In the model's order.

    Raises
    ------
    UsageError
        The plan gives no value to a whole variable, or breaks a row by more than ``free_count`` can mend.
    """
    import highspy
    import pandas as pd

    from capacity.optimize._highs import load, matrix_of, quiet

    matrix = matrix_of(model.lp)
    lower, upper = _around(model, matrix, values, free_count)
    solver = quiet(seed=1)
    load(solver, replace(matrix, lower=lower, upper=upper), relaxed=True)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        raise UsageError("no duals: the values given are not a plan of this model. Solve it first")
    prices = np.array(solver.getSolution().row_dual, dtype=float)
    rows = []
    for name, price in zip(matrix.row_names, prices, strict=True):
        row = model.rows[name]
        month = model.fleet.problem.months[row.month] if row.month >= 0 else ""
        unit = "" if row.unit is None else str(row.unit)
        rows.append((row.family, unit, month, row.key, row.resource, float(price) / row.scale))
    return pd.DataFrame(rows, columns=list(DUAL_COLUMNS)).astype({"key": "int64", "dual_usd_per_unit": float})


def _around(
    model: MixModel, matrix: Any, values: Mapping[Any, float] | None, free_count: float
) -> tuple[Floats, Floats]:
    """Bounds that hold the whole variables at the plan, and counts near it."""
    counts = {*model.provisioned.values(), *model.running.values(), *model.spot.values()}
    lower, upper = matrix.lower.copy(), matrix.upper.copy()
    for j, variable in enumerate(matrix.variables):
        if not matrix.integer[j]:
            continue
        value = variable.varValue if values is None else values.get(variable)
        if value is None:
            raise UsageError(f"no duals: the plan gives no value to {variable.name}. Solve the model first")
        reach = free_count if variable in counts else 0.0
        lower[j], upper[j] = max(lower[j], round(value) - reach), min(upper[j], round(value) + reach)
    return lower, upper
