"""``report.html``: one page that needs no network and no other file, and a page that compares runs.

The page is the template with one JSON object put in; what is in it, :mod:`sim.report_data` says.
Everything comes from the files of the run, so ``fleet report DIR`` rebuilds it at any time.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from fleet.errors import ConfigError
from sim import run_folder
from sim.decision_log import Decision, read_decisions
from sim.metric_defs import BY_NAME, Metric, check_expectations
from sim.metrics import Analysis, analyse
from sim.report_data import page_data
from sim.run_folder import RunFolder
from sim.scene import Scene, build_scene
from sim.summary import shown, title_of, with_contact_check
from sim.trajectory_log import read_trajectories

TEMPLATE = Path(__file__).parent / "report_template.html"
_SHOWN_KEYS = (
    "planner", "backend", "mechanism", "seed", "charter_id", "charters", "scenario", "command_line", "versions",
)  # fmt: skip
COMPARE_STYLE = Path(__file__).parent / "report_compare.css"
_LESS_IS_BETTER = frozenset(
    "contacts contacts_caused_by_honest rss_violations unfinished mean_delay_s p95_delay_s delay_s_max"
    " stops_per_vehicle wait_s_max jerk_mps3_rms jerk_mps3_max energy_kj_per_km agreement_latency_s_p50"
    " agreement_latency_s_p99 planning_s_p50 planning_s_p99 fallbacks breaches wall_s".split()
)
_MORE_IS_BETTER = frozenset(
    "gap_m_min time_to_collision_s_min post_encroachment_s_min finished finished_share throughput_vph jain"
    " real_time_factor".split()
)


def build_report(run_dir: Path) -> Path:
    """Rebuild ``report.html`` of a run from its files; returns its path.

    Raises
    ------
    ConfigError
        ``run_dir`` is not the folder of a run that came to an end, or one of its files is damaged.
    """
    folder = RunFolder.load(run_dir)
    scene = build_scene(read_trajectories(run_dir), folder.vehicles, folder.map)
    decisions = tuple(read_decisions(run_dir))
    manifest = folder.manifest
    analysis = analyse(
        scene,
        folder.map,
        decisions,
        counters=manifest.get("counters", {}),
        samples={},
        sim_s=manifest["sim_s"],
        wall_s=manifest["wall_s"],
    )
    # Wall-clock samples are not kept, so the numbers are those that the run itself wrote.
    return write_report(folder, scene, decisions, replace(analysis, metrics=read_metrics(run_dir)))


def write_report(folder: RunFolder, scene: Scene, decisions: Sequence[Decision], analysis: Analysis) -> Path:
    """Write the page for what has been read and analysed already."""
    manifest = folder.manifest
    expected = with_contact_check(manifest.get("expectations", {}))
    checks = () if manifest.get("interrupted") else check_expectations(analysis.metrics, expected)
    good = manifest.get("status") == 0 and all(check.met for check in checks)
    data: dict[str, Any] = {
        "title": title_of(manifest),
        "verdict": manifest.get("verdict", ""),
        "state": "interrupted" if manifest.get("interrupted") else "good" if good else "bad",
        "failed": [check.text for check in checks if not check.met],
        "facts": [[key, _fact(manifest[key])] for key in _SHOWN_KEYS if manifest.get(key) not in (None, "", {}, [])],
        **page_data(folder, scene, decisions, analysis, checks),
    }
    # "</script>" inside a string would end the script element; "<" may be written as an escape in JSON.
    embedded = msgspec.json.encode(data).decode().replace("<", "\\u003c")
    text = TEMPLATE.read_text(encoding="utf-8")
    text = text.replace("{{TITLE}}", html.escape(data["title"])).replace("{{DATA}}", embedded)
    path = folder.path / run_folder.REPORT
    path.write_text(text, encoding="utf-8")
    return path


def _fact(value: object) -> str:
    if isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef"):
        return value[:12]
    if isinstance(value, dict):
        return ", ".join(f"{key} {_fact(item)}" for key, item in value.items() if item not in (None, ""))
    if isinstance(value, (list, tuple)):
        return " ".join(_fact(item) for item in value)
    return str(value)


def read_metrics(run_dir: Path) -> tuple[Metric, ...]:
    """``metrics.json`` of a run; metrics that this version does not know are left out."""
    rows = run_folder.read_json(run_dir / run_folder.METRICS)
    return tuple(
        Metric(row["name"], row["unit"], row["value"], row["definition"]) for row in rows if row["name"] in BY_NAME
    )


def compare_reports(dirs: Sequence[Path], out: Path) -> Path:
    """One table of the metrics of several runs, the first being what the others are compared with.

    Raises
    ------
    ConfigError
        Fewer than two folders, or one of them is not that of a finished run.
    """
    if len(dirs) < 2:
        raise ConfigError(f"{len(dirs)} run to compare; give at least two")
    titles = [_compare_title(path) for path in dirs]
    tables = [{metric.name: metric for metric in read_metrics(path)} for path in dirs]
    rows, group = [], ""
    for name, definition in BY_NAME.items():
        if all(name not in table or table[name].value is None for table in tables):
            continue
        if definition.group != group:
            group = definition.group
            rows.append(f'<tr class="group"><td colspan="{len(dirs) + 1}">{group}</td></tr>')
        unit = f" <small>{definition.unit}</small>" if definition.unit else ""
        cells = "".join(_compare_cell(name, table.get(name), tables[0].get(name), k) for k, table in enumerate(tables))
        rows.append(f'<tr title="{html.escape(definition.text)}"><td>{name}{unit}</td>{cells}</tr>')
    head = "".join(f"<th>{title}</th>" for title in titles)
    table = f"<table><thead><tr><th>metric</th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Runs compared</title><style>{COMPARE_STYLE.read_text(encoding='utf-8')}</style>"
        f'<h1>{len(dirs)} runs compared</h1><div class="scroll">{table}</div></html>\n'
    )
    out.write_text(page, encoding="utf-8")
    return out


def _compare_title(path: Path) -> str:
    manifest = run_folder.read_json(path / run_folder.RUN)
    facts = [str(manifest[key]) for key in ("planner", "backend", "seed") if manifest.get(key) is not None]
    return f"{html.escape(title_of(manifest))}<br><small>{html.escape(', '.join([*facts, path.name]))}</small>"


def _compare_cell(name: str, metric: Metric | None, first: Metric | None, column: int) -> str:
    if metric is None or metric.value is None:
        return "<td>-</td>"
    text, mark = shown(metric), ""
    if column and first is not None and first.value is not None and metric.value != first.value:
        change = metric.value - first.value
        share = f" {100.0 * change / abs(first.value):+.0f} %" if first.value else ""
        if name in _LESS_IS_BETTER or name in _MORE_IS_BETTER:
            mark = "better" if (change < 0) == (name in _LESS_IS_BETTER) else "worse"
        text += f" <small>{share}</small>"
    return f'<td class="{mark}">{text}</td>'
