"""A plan's figures as OpenMetrics text 1.0, which parsers of the Prometheus text format 0.0.4 read as well.

No sample carries a time: node_exporter's textfile collector refuses files with any, and Prometheus stamps what it
scrapes. A figure that the plan does not know is not there; NaN never is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from capacity.plan import Plan
from capacity.report.handover._base import Options, Rendered, figure

Labels = Mapping[str, str]


@dataclass
class Family:
    """A gauge: its name ends in its unit where it has one."""

    name: str
    help: str
    unit: str = ""
    samples: dict[tuple[tuple[str, str], ...], str] = field(default_factory=dict)

    def add(self, value: object, labels: Labels) -> None:
        """A sample; none where ``value`` is not known, and no second one of the same labels."""
        text = written(value)
        if text is not None:
            self.samples.setdefault(tuple(labels.items()), text)


def written(value: object) -> str | None:
    """A number as both formats write it; None for whatever is none."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else None
    if isinstance(value, int):
        return str(value)
    number = figure(value)
    if number is None:
        return None
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else repr(number)


def escaped(text: str) -> str:
    """A label's value; what is no Unicode text becomes U+FFFD."""
    sound = text.encode("utf-8", "replace").decode() if text.isascii() else "".join(
        "\ufffd" if 0xD800 <= ord(c) <= 0xDFFF else c for c in text
    )  # fmt: skip
    return sound.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def text_of(families: Iterable[Family]) -> str:
    """The families that have samples, each with TYPE, UNIT and HELP, and the end mark."""
    lines = []
    for f in families:
        if not f.samples:
            continue
        lines.append(f"# HELP {f.name} {f.help}")
        lines.append(f"# TYPE {f.name} gauge")
        if f.unit:
            lines.append(f"# UNIT {f.name} {f.unit}")
        for labels, value in f.samples.items():
            inside = ",".join(f'{k}="{escaped(v)}"' for k, v in labels)
            lines.append(f"{f.name}{{{inside}}} {value}" if inside else f"{f.name} {value}")
    return "\n".join([*lines, "# EOF"]) + "\n"


def render(plan: Plan, options: Options) -> Rendered:
    """openmetrics.txt."""
    from capacity.report.handover._samples import families

    return Rendered({"openmetrics.txt": text_of(families(plan, options.band_days))})
