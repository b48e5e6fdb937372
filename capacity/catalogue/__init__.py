"""The catalogue: EC2 instance types, and the rates that are known for them, each with source and date.

One is bundled; ``capacity catalog refresh`` makes another from AWS. Both are two files in a folder: ``catalogue.csv``,
a row an instance type, and ``catalogue.yaml``, where each column comes from and of which day it is. Rates are $/h in
one region, Linux, shared tenancy, in columns ``PRODUCT_usd_per_hour``; an absent rate is absent, never guessed.
"""

from capacity.catalogue._changes import Changes, ProductChanges, RateChange, changes
from capacity.catalogue._files import BUNDLED_REGION, Catalogue, load
from capacity.catalogue._format import About, Column, rate_column
from capacity.catalogue._writing import write

__all__ = [
    "BUNDLED_REGION",
    "About",
    "Catalogue",
    "Changes",
    "Column",
    "ProductChanges",
    "RateChange",
    "changes",
    "load",
    "rate_column",
    "write",
]
