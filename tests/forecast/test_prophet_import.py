"""Prophet is loaded without its plotting, which still works for whoever asks for it."""

from __future__ import annotations

import os
import subprocess
import sys

CODE = """
import sys
import numpy as np, pandas as pd
from capacity.forecast._map_backend import by_numpy
from capacity.forecast._prophet import Prophet
from capacity.forecast.members.prophet_map import silence

silence()
days = pd.DataFrame({"ds": pd.date_range("2026-01-01", periods=60), "y": np.arange(60.0)})
model = by_numpy(Prophet(uncertainty_samples=0))
outlook = model.fit(days).predict(days)
assert not {"matplotlib", "prophet.plot"} & set(sys.modules), "loaded although nothing was plotted"
assert [axes.get_xlabel() for axes in model.plot(outlook).axes] == ["ds"]
assert len(model.plot_components(outlook).axes) == 2
import prophet.plot
assert prophet.plot.plot.__module__ == "prophet.plot"
"""


def test_plotting_is_loaded_with_the_first_plot() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "MPLBACKEND": "Agg"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
