"""Why a plan is as it is: what its requirements cost, what else would do, and why this type and not the next best."""

from capacity.optimize.why._price import Price
from capacity.optimize.why.alternatives import Alternative, Alternatives, alternatives, distance
from capacity.optimize.why.moves import Moved, moves, objective, service_level
from capacity.optimize.why.prices import Prices, not_tried_words, prices
from capacity.optimize.why.types import OtherChoice, TypeChoice, TypeChoices, type_choice

__all__ = [
    "Alternative",
    "Alternatives",
    "Moved",
    "OtherChoice",
    "Price",
    "Prices",
    "TypeChoice",
    "TypeChoices",
    "alternatives",
    "distance",
    "moves",
    "not_tried_words",
    "objective",
    "prices",
    "service_level",
    "type_choice",
]
