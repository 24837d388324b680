"""The property suite of one mechanism: what it promises, what it keeps, and what nobody should count on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from fleet.errors import ConfigError
from fleet.mechanism.guard import STEPS_MAX
from fleet.mechanism.properties import PROPERTIES, Finding
from fleet.mechanism.registry import guarded, make_mechanism


@dataclass(frozen=True, slots=True)
class Report:
    """Of one mechanism."""

    name: str
    summary: str
    promises: frozenset[str]
    findings: tuple[Finding, ...]
    limits: tuple[str, ...]

    @property
    def broken(self) -> tuple[str, ...]:
        """What is promised and does not hold."""
        return tuple(one.name for one in self.findings if one.name in self.promises and not one.holds)

    def verdict(self, finding: Finding) -> str:
        """One word or two for the table."""
        if finding.name in self.promises:
            return "guaranteed" if finding.holds else "BROKEN"
        return "measured" if finding.holds else "not guaranteed"

    def plain(self) -> dict[str, object]:
        """As JSON."""
        rows: list[Mapping[str, object]] = [
            {**asdict(one), "promised": one.name in self.promises, "verdict": self.verdict(one)}
            for one in self.findings
        ]
        return {
            "name": self.name, "summary": self.summary, "broken": list(self.broken), "properties": rows,
            "not_promised": list(self.limits),
        }  # fmt: skip


def verify(name: str, say: Callable[[str], None] = lambda text: None) -> Report:
    """Check every property of the mechanism ``name``; ``say`` is told of progress.

    Raises
    ------
    ConfigError
        There is no such mechanism, or it promises what nobody knows.
    """
    mechanism = make_mechanism(name)
    unknown = sorted(set(mechanism.promises) - set(PROPERTIES))
    if unknown:
        raise ConfigError(f"mechanism {name} promises {unknown[0]!r}; known: {', '.join(PROPERTIES)}")
    one = guarded(name)
    findings = []
    for number, (key, (text, check)) in enumerate(PROPERTIES.items(), start=1):
        say(f"{number} of {len(PROPERTIES)}: {text}")
        findings.append(check(one, lambda: guarded(name)))
        if key == "bounded_work" and not findings[-1].holds:  # the others would run it again and again, in vain
            break
    checked = {finding.name for finding in findings}
    rest = [
        Finding(key, PROPERTIES[key][0], None, None, "", False, "not checked")
        for key in PROPERTIES
        if key not in checked
    ]
    return Report(
        mechanism.name, mechanism.summary, frozenset(mechanism.promises), (*findings, *rest), mechanism.limits
    )


def table(report: Report) -> str:
    """For people."""
    rows = [("property", "verdict", "figure", "limit", "what was measured")]
    for one in report.findings:
        figure = "-" if one.figure is None else f"{one.figure:.4g}{' ' + one.unit if one.unit else ''}"
        limit = "-" if one.limit is None else f"{one.limit:.4g}"
        text = one.text + (f"; {one.note}" if one.note else "")
        rows.append((one.name, report.verdict(one), figure, limit, text))
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    lines = [f"{report.name}: {report.summary}", ""]
    lines += ["  " + "  ".join(f"{row[k]:<{widths[k]}}" for k in range(4)) + f"  {row[4]}" for row in rows]
    lines += ["", "  Not promised:", *(f"    - {text}" for text in report.limits)]
    lines += [f"    - time: work is bounded in steps (at most {STEPS_MAX} a decision), not in seconds"]
    return "\n".join(lines)
