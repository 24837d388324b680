"""The end of a run: metrics from its files, the verdict, the console table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sim import run_folder
from sim.decision_log import read_decisions
from sim.metric_defs import BY_NAME, Expectation, Metric, check_expectations
from sim.metrics import analyse
from sim.records import Summary
from sim.run_folder import RunFolder
from sim.scene import build_scene
from sim.trajectory_log import read_trajectories


def conclude(out: Path, manifest: dict[str, Any], samples: Mapping[str, Sequence[float]]) -> Summary:
    """Compute the metrics of the closed logs in ``out``; write ``metrics.json``, ``run.json``, ``report.html``."""
    from sim.report import write_report

    run_folder.write_json(out / run_folder.RUN, manifest)
    folder = RunFolder.load(out)
    scene = build_scene(read_trajectories(out), folder.vehicles, folder.map)
    decisions = tuple(read_decisions(out))
    analysis = analyse(
        scene,
        folder.map,
        decisions,
        counters=manifest["counters"],
        samples=samples,
        sim_s=manifest["sim_s"],
        wall_s=manifest["wall_s"],
    )
    expected = with_contact_check(manifest["expectations"])
    checks = () if manifest["interrupted"] else check_expectations(analysis.metrics, expected)
    if manifest["status"] == 0 and any(not check.met for check in checks):
        manifest["status"] = 3
    verdict = verdict_of(analysis.metrics, checks, interrupted=manifest["interrupted"])
    manifest["verdict"] = verdict
    manifest["failed"] = [check.text for check in checks if not check.met]
    lines = [{"name": m.name, "unit": m.unit, "value": m.value, "definition": m.definition} for m in analysis.metrics]
    run_folder.write_json(out / run_folder.METRICS, lines)
    run_folder.write_json(out / run_folder.RUN, manifest)
    write_report(RunFolder(out, manifest, folder.vehicles, folder.map), scene, decisions, analysis)
    return Summary(
        out, title_of(manifest), manifest["status"], manifest["interrupted"], verdict, analysis.metrics, checks
    )


def with_contact_check(expectations: Mapping[str, float | int | str]) -> dict[str, float | int | str]:
    """The expectations, and that nothing touched unless they say something about contacts."""
    if any(name.startswith("contacts") for name in expectations):
        return dict(expectations)
    return {"contacts": 0, **expectations}


def title_of(manifest: Mapping[str, Any]) -> str:
    """The name under which a run is shown."""
    scenario = manifest.get("scenario")
    if isinstance(scenario, dict):
        scenario = scenario.get("name") or scenario.get("path")
    return Path(str(manifest.get("name") or scenario or "run")).stem


def verdict_of(metrics: Sequence[Metric], checks: Sequence[Expectation], *, interrupted: bool) -> str:
    """One line, such as ``8 of 8 crossed, 0 contacts, all expectations met``."""
    values = {metric.name: metric.value for metric in metrics}
    contacts = values["contacts"]
    text = f"{values['finished']} of {values['vehicles']} crossed, {contacts} contact{'' if contacts == 1 else 's'}"
    failed = sum(not check.met for check in checks)
    alarms = values.get("alarms")
    if alarms:
        text += f", {alarms} alarm{'' if alarms == 1 else 's'} of the group's monitors"
    if interrupted:
        return f"interrupted: {text}; expectations not judged"
    return f"{text}, {f'{failed} of {len(checks)} expectations not met' if failed else 'all expectations met'}"


def shown(metric: Metric) -> str:
    """The value as people read it; the files keep all digits."""
    if metric.value is None:
        return "-"
    if isinstance(metric.value, int):
        return f"{metric.value:,}"
    return f"{metric.value:.3g}" if abs(metric.value) < 100 else f"{metric.value:,.0f}"


def print_summary(summary: Summary, console: Any = None) -> None:
    """The table of a run on the console (a :class:`rich.console.Console`)."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = console or Console()
    good = summary.status == 0 and not summary.interrupted
    table = Table(title=summary.title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("expected")
    checks = {check.metric: check for check in summary.expectations}
    group = ""
    for metric in summary.metrics:
        if group and BY_NAME[metric.name].group != group:
            table.add_section()
        group = BY_NAME[metric.name].group
        check = checks.get(metric.name)
        mark = Text("")
        if check is not None:
            bound = check.text.rsplit("expected ", 1)[1]
            mark = Text(f"{bound} {'met' if check.met else 'NOT MET'}", style="green" if check.met else "bold red")
        table.add_row(metric.name, shown(metric), metric.unit, mark)
    console.print(table)
    console.print(
        Text(summary.verdict, style="bold green" if good else "bold yellow" if summary.interrupted else "bold red")
    )
    console.print(Text(f"report: {summary.folder / run_folder.REPORT}", overflow="fold"))
