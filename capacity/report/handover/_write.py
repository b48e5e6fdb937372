"""From a plan to the files of its hand-over."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from capacity.errors import UsageError
from capacity.plan import Plan
from capacity.report.handover import gate, grafana, karpenter, openmetrics, prometheus, scaling, slack, teams, terraform
from capacity.report.handover._base import Options, Rendered
from capacity.report.handover._names import check_template


@dataclass(frozen=True)
class Output:
    """One output: what renders it, its files, and what it is for."""

    render: Callable[[Plan, Options], Rendered]
    files: tuple[str, ...]
    about: str


OUTPUTS: Mapping[str, Output] = {
    "terraform": Output(terraform.render, ("capacity.auto.tfvars.json", "capacity_variables.tf"), "counts by group"),
    "scaling": Output(scaling.render, ("scheduled_actions.json", "set_desired_capacity.json"),
                      "EC2 Auto Scaling: sizes by month and around events"),
    "karpenter": Output(karpenter.render, ("karpenter_nodepools.json",), "NodePools for kubectl apply"),
    "prometheus": Output(prometheus.render, ("prometheus_rules.yml",), "rules for headroom and forecast"),
    "openmetrics": Output(openmetrics.render, ("openmetrics.txt",), "the plan's figures as metrics"),
    "grafana": Output(grafana.render, ("grafana_dashboard.json",), "dashboard of these metrics and live demand"),
    "slack": Output(slack.render, ("message_slack.json",), "message for an incoming webhook"),
    "teams": Output(teams.render, ("message_teams.json",), "message for a Teams workflow"),
    "gate": Output(gate.render, ("gate.json",), "verdicts for a policy engine"),
}  # fmt: skip


@dataclass(frozen=True)
class Handover:
    """Paths written, in the order of the outputs, and what was left out and why."""

    files: tuple[Path, ...]
    notes: tuple[str, ...]


def write_handover(plan: Plan, folder: Path, only: Sequence[str] = (), options: Options | None = None) -> Handover:
    """Write the outputs of ``plan`` named in ``only`` (all where empty) into ``folder``.

    All are made before the first is written, and each is written beside its place and renamed: a wrong option leaves
    the folder as it was.

    Raises
    ------
    UsageError
        An output or a month that does not exist, a template that cannot be filled.
    """
    unknown = [name for name in only if name not in OUTPUTS]
    if unknown:
        raise UsageError(f"--only: found {unknown[0]!r}; allowed: {', '.join(OUTPUTS)}")
    chosen = options or Options()
    check_template(chosen.group_name)
    made = {name: output.render(plan, chosen) for name, output in OUTPUTS.items() if not only or name in only}
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for rendered in made.values():
        for file, text in rendered.files.items():
            partial = folder / f"{file}.partial"
            partial.write_text(text, encoding="utf-8", newline="\n")
            partial.replace(folder / file)
            written.append(folder / file)
    notes = tuple(f"{name}: {note}" for name, rendered in made.items() for note in rendered.notes)
    return Handover(tuple(written), notes)


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema ``name``: tfvars, scaling, karpenter, grafana, slack, teams or gate."""
    text = resources.files("capacity.report.handover").joinpath(f"schemas/{name}.schema.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
