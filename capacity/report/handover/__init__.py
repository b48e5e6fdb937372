"""Hand-over to the machines that run things: one module an output, each a function of the plan alone.

No clock, no request to any host. Text from data is text in every output; a figure that the plan does not know is left
out. ``schemas/`` holds a JSON Schema of each JSON output, with the source it follows.
"""

from capacity.report.handover._base import DEFAULT_DEMAND_QUERY, DEFAULT_GROUP_NAME, Options, Rendered
from capacity.report.handover._write import OUTPUTS, Handover, schema, write_handover
from capacity.report.handover.scaling import EventSizes, event_sizes

__all__ = [
    "DEFAULT_DEMAND_QUERY",
    "DEFAULT_GROUP_NAME",
    "OUTPUTS",
    "EventSizes",
    "Handover",
    "Options",
    "Rendered",
    "event_sizes",
    "schema",
    "write_handover",
]
