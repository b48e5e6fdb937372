"""How one plan differs from another, in a sentence."""

from __future__ import annotations

from collections.abc import Mapping

from capacity.domain import MixProblem, MixSolution
from capacity.optimize.why._plan import vcpu_by_type
from capacity.words import listed, percent, plural, usd

# Of all vCPU: what moves less than this between families is not worth naming.
_WORTH_NAMING_FRAC = 0.02
_ALL_FRAC = 0.995


def difference_words(
    problem: MixProblem, plan: MixSolution, other: MixSolution, frac_more: float, usd_more: float, far: float
) -> str:
    """Families, counts, services and cost: "all on m7g rather than m8g; 22 larger instances instead of 44 small"."""
    families = {(str(r.unit), c.instance_type): (c.family, c.arch) for r in problem.requirements for c in r.candidates}
    before, after = vcpu_by_type(problem, plan), vcpu_by_type(problem, other)
    changed = {unit for unit, _m, _i in before.keys() | after.keys() if _of(before, unit) != _of(after, unit)}
    parts = [p for p in (_families(families, before, after), _sizes(problem, plan, other)) if p]
    parts += [f"{plural(len(changed), 'service')} changed of {len(problem.requirements)}"]
    sense = "more" if usd_more >= 0 else "less"
    parts.append(f"{percent(abs(frac_more))} {sense} ({usd(abs(usd_more))} a year)")
    return f"{'; '.join(parts)}; distance {far:.2f}"


def _of(placed: Mapping[tuple[str, str, str], float], unit: str) -> dict[tuple[str, str], float]:
    return {(m, i): x for (u, m, i), x in placed.items() if u == unit}


def _families(
    families: Mapping[tuple[str, str], tuple[str, str]],
    before: Mapping[tuple[str, str, str], float],
    after: Mapping[tuple[str, str, str], float],
) -> str:
    """Families that gain and that lose, by their share of all vCPU."""
    old, new = _shares(families, before), _shares(families, after)
    names = old.keys() | new.keys()
    moved = {f: new.get(f, 0.0) - old.get(f, 0.0) for f in names}
    gain = [f for f in sorted(names, key=lambda f: (-moved[f], f)) if moved[f] > _WORTH_NAMING_FRAC][:3]
    lose = [f for f in sorted(names, key=lambda f: (moved[f], f)) if moved[f] < -_WORTH_NAMING_FRAC][:3]
    if not gain or not lose:
        return ""
    on, off = (listed([f"{f} ({arch})" for f, arch in fs]) for fs in (gain, lose))
    total = sum(new.get(f, 0.0) for f in gain)
    if total >= _ALL_FRAC:
        return f"all on {on} rather than {off}"
    return f"{percent(sum(moved[f] for f in gain))} of the vCPU on {on} rather than {off}"


def _shares(
    families: Mapping[tuple[str, str], tuple[str, str]], placed: Mapping[tuple[str, str, str], float]
) -> dict[tuple[str, str], float]:
    out: dict[tuple[str, str], float] = {}
    total = sum(placed.values())
    for (unit, _month, kind), vcpu in placed.items():
        key = families[unit, kind]
        out[key] = out.get(key, 0.0) + vcpu / total
    return out


def _sizes(problem: MixProblem, plan: MixSolution, other: MixSolution) -> str:
    """Instances of both in the month in which ``plan`` has the most vCPU."""
    by_month = plan.provisioned.groupby("month")["vcpu"].sum()
    if not len(by_month):
        return ""
    old, new = _in_month(plan, str(by_month.idxmax())), _in_month(other, str(by_month.idxmax()))
    if old[0] == new[0]:
        return ""
    size = "larger" if new[1] > old[1] else "smaller"
    return f"{new[0]:,} {size} instances instead of {old[0]:,}"


def _in_month(solution: MixSolution, month: str) -> tuple[int, float]:
    """Instances, and vCPU of each on average."""
    rows = solution.provisioned[solution.provisioned["month"] == month]
    count = int(rows["instances"].sum())
    return count, float(rows["vcpu"].sum()) / max(count, 1)
