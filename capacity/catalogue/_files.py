"""Reading a catalogue: the bundled one, or that of a folder, at any moment of a refresh."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib import resources
from pathlib import Path

import pandas as pd

from capacity.catalogue import _format
from capacity.catalogue._format import CSV, YAML, About
from capacity.domain import InstanceType
from capacity.errors import CorruptDataError, MissingDataError

# Region whose figures the bundled rates are.
BUNDLED_REGION = "us-east-1"
# The csv that belonged to the yaml before a refresh; it is there only while one runs, or after one was killed.
BEFORE = f"{CSV}.before"
_TRIES = 3


@dataclass(frozen=True)
class Catalogue:
    """Instance types by name, their rates as a ``prices`` frame, and the version that a plan records.

    ``rates_day`` is the day of the on-demand rates; ``frame`` is catalogue.csv as it is.
    """

    version: str
    types: dict[str, InstanceType]
    prices: pd.DataFrame
    about: About
    frame: pd.DataFrame

    @property
    def rates_day(self) -> date | None:
        return _format.newest_day(self.about)

    @property
    def spot_day(self) -> date | None:
        """The day of what is known of spot in the catalogue's region; None where nothing is."""
        column = self.about.columns.get(_format.SPOT_SAVING)
        return None if column is None else column.date


def load(folder: Path | None = None) -> Catalogue:
    """The catalogue in ``folder``; the bundled one where it is None (1,080 types; on demand for all).

    Raises
    ------
    MissingDataError
        There is none in ``folder``.
    CorruptDataError
        The files are not those of a catalogue, or do not belong together.
    """
    if folder is None:
        with resources.as_file(resources.files("capacity") / "data") as data:
            return _parsed(*read(data), str(data))
    return _parsed(*read(folder), str(folder))


@lru_cache(maxsize=4)
def _parsed(text: bytes, description: bytes, where: str) -> Catalogue:
    about, _ = _format.parse_about(description, f"{where}/{YAML}")
    frame = _format.parse_frame(text, about, f"{where}/{CSV}")
    return Catalogue(_format.version(text, about), _format.types(frame), _format.prices(frame, about), about, frame)


def read(folder: Path) -> tuple[bytes, bytes]:
    """Both files as bytes, as they belong together: a refresh may replace them meanwhile."""
    for _ in range(_TRIES):
        try:
            description = (folder / YAML).read_bytes()
            wanted = _format.parse_about(description, str(folder / YAML))[1]
            for name in (CSV, BEFORE):
                text = (folder / name).read_bytes()
                if wanted is None or hashlib.sha256(text.replace(b"\r\n", b"\n")).hexdigest() == wanted:
                    return text, description
        except FileNotFoundError as error:
            if Path(str(error.filename)).name != BEFORE:
                raise MissingDataError(
                    f"{folder}: no {Path(str(error.filename)).name} here; make a catalogue with `capacity catalog "
                    "refresh`, or leave out the key 'catalogue' to use the bundled one"
                ) from None
        except OSError as error:
            raise MissingDataError(
                f"{folder}: no readable catalogue ({error.strerror}); 'catalogue' names the folder that `capacity "
                "catalog refresh` wrote"
            ) from None
    raise CorruptDataError(
        f"{folder}: {CSV} is not the file that {YAML} describes (its SHA-256 differs); make the catalogue again with "
        "`capacity catalog refresh`"
    )
