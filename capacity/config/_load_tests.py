"""Load tests: whose files they are, what was tested, and how their steps are cut."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from capacity.config._base import Fraction, Model, Name, Positive


class LoadTestConfig(Model):
    """One load test of a service: what it was run against, and the files that it wrote."""

    path: str = Field(description="a file or a glob (* and **); several files are steps of one test")
    kind: Literal["k6", "locust", "jmeter", "table"]
    instance_type: Name = Field(description="the type that was tested")
    instances: int = Field(1, ge=1, description="how many of them shared the load")
    requests: list[Name] = Field([], description="names (k6, Locust) or labels (JMeter) that count; all where empty")
    slo_p99_ms: Positive | None = Field(None, description="the service's where absent")
    acceptable_error_frac: Fraction = Field(0.01, description="a step with more failed requests is not safe")
    settle_seconds: Annotated[int, Field(ge=0, le=3600)] = Field(10, description="left out at the start of a step")
    least_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(10, description="what must be left of a step")
    step_seconds: Annotated[int, Field(ge=2, le=86_400)] | None = Field(
        None, description="length of a stage, where the load was an arrival rate and no number of users"
    )

    @model_validator(mode="after")
    def _stage_is_long_enough(self) -> Self:
        needed = self.settle_seconds + self.least_seconds
        if self.step_seconds is not None and self.step_seconds < needed:
            raise ValueError(
                f"step_seconds: found {self.step_seconds}; allowed: settle_seconds + least_seconds ({needed}) or more"
            )
        return self
