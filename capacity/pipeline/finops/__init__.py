"""The FinOps review: what the bill says of past months, and what a plan says of the coming ones."""

from capacity.pipeline.finops.attribution import allocated
from capacity.pipeline.finops.coming import COMING, coming_frames
from capacity.pipeline.finops.past import Past, past_frames

__all__ = ["COMING", "Past", "allocated", "coming_frames", "past_frames"]
