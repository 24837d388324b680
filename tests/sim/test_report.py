"""The report page: self-contained, true to the logs, rebuilt from files alone, and its script really runs."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from fleet.errors import ConfigError
from sim import report_data
from sim.decision_log import Decision
from sim.picture import picture
from sim.report import build_report, compare_reports
from sim.trajectory_log import read_trajectories
from tests.sim.synthetic_run import make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "lossy"
    make_run(out, count=8, lossy=True, mcap=False)
    return out


def embedded(page: Path) -> dict:
    return json.loads(
        re.search(r'<script id="data" type="application/json">(.*?)</script>', page.read_text(), re.DOTALL)[1]
    )


def int16(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<i2").astype(np.float64)


def test_the_page_asks_nothing_of_the_network(run: Path) -> None:
    fetched: list[str] = []

    class Finder(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            fetched.extend(f"{tag} {name}" for name, _ in attrs if name in {"src", "href", "srcset", "action"})

    text = (run / "report.html").read_text()
    Finder().feed(text)
    assert fetched == []
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest|WebSocket|import\(", text)
    assert "{{" not in text


def test_the_replay_is_the_trajectory_log(run: Path) -> None:
    data, truth = embedded(run / "report.html"), read_trajectories(run)
    assert len(data["vehicles"]) == 8
    for vehicle in data["vehicles"]:
        rows = truth.vehicle == truth.vehicle_ids.index(vehicle["id"])
        t = data["tick"]["t0"] + data["tick"]["dt"] * (vehicle["k0"] + np.arange(vehicle["n"]))
        steps = np.vstack([[vehicle["x0"], vehicle["y0"]], int16(vehicle["xy"]).reshape(-1, 2)])
        xy = np.cumsum(steps, axis=0) * vehicle["unit"]
        for column in (0, 1):
            assert np.abs(xy[:, column] - np.interp(t, truth.t_s[rows], truth.state[rows, column])).max() < 0.002
        yaw = np.interp(t, truth.t_s[rows], np.unwrap(truth.state[rows, 2]))
        assert np.abs(np.sin(0.5 * (int16(vehicle["yaw"]) * 1e-4 - yaw))).max() < 1e-4
        assert np.abs(int16(vehicle["v"]) * 0.01 - np.interp(t, truth.t_s[rows], truth.state[rows, 3])).max() < 0.006
        distance = int16(vehicle["d"]) * 0.1
        assert distance[0] > 60.0 and distance[-1] < 0.0 and np.all(np.diff(distance) <= 0.11)


def test_agreements_join_proposal_votes_certificate_and_commits() -> None:
    log = [
        ("a", "proposal", 100, {"proposal": "x", "members": ["a", "b"], "batch": ["a"]}),
        ("a", "vote", 100, {"proposal": "x"}),
        ("b", "vote", 150, {"proposal": "x"}),
        ("a", "certificate", 160, {"proposal": "x"}),
        ("b", "certificate", 190, {"proposal": "x"}),
        ("a", "commit", 160, {"proposal": "x"}),
        ("b", "proposal", 300, {"proposal": "y", "members": ["b"]}),
        ("a", "refusal", 330, {"proposal": "y", "reasons": ["start:b"]}),
        ("b", "abort", 340, {"proposal": "y", "why": "refused_by:a"}),
        ("c", "vote", 400, {"proposal": "never seen"}),
    ]
    first, second = report_data.agreement_list(
        [Decision(i, t, node, kind, detail) for i, (node, kind, t, detail) in enumerate(log)]
    )
    assert (
        first["votes"] == [[100, "a", True], [150, "b", True]]
        and first["cert"] == 160
        and first["commits"] == [[160, "a"]]
    )
    assert (second["votes"], second["cert"], second["aborts"]) == ([[330, "a", False]], None, [[340, "b"]])
    assert second["why"] == "a: start:b"


def test_the_panels_say_what_the_log_says(run: Path) -> None:
    data = embedded(run / "report.html")
    metrics = {metric["name"]: metric["value"] for metric in data["metrics"]}
    assert sum(event["kind"] == "refusal" for event in data["events"]) == metrics["refusals"] > 0
    assert metrics["jain"] == data["harm"]["jain"]
    assert data["harm"]["longest"][0][1] == pytest.approx(metrics["wait_s_max"], abs=0.01)
    assert sum(a["n"] for a in data["harm"]["approaches"]) == 8
    delays = {vehicle["id"]: vehicle["delay"] for vehicle in data["vehicles"]}
    assert data["harm"]["waited"] and all(
        row["s"] == pytest.approx(delays[row["who"]], abs=0.01) for row in data["harm"]["waited"]
    )


def test_a_page_is_rebuilt_from_the_files_alone(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "moved"
    shutil.copytree(run, copy)
    before = (copy / "report.html").read_bytes()
    (copy / "report.html").unlink()
    assert build_report(copy).read_bytes() == before
    (copy / "metrics.json").write_text("{")
    with pytest.raises(ConfigError, match=r"metrics\.json: not valid JSON"):
        build_report(copy)
    with pytest.raises(ConfigError, match="missing"):
        build_report(tmp_path)


def test_text_from_outside_cannot_end_the_script(tmp_path: Path) -> None:
    def hostile(log) -> None:
        log.decision(500, "</script><b>", "fallback", {"why": "</script><script>alert(1)</script>"})

    make_run(tmp_path / "r", count=2, mcap=False, after=hostile)
    page = tmp_path / "r" / "report.html"
    assert page.read_text().count("</script>") == 2
    assert embedded(page)["events"][0]["text"] == "</script><script>alert(1)</script>"


def test_a_long_run_is_thinned_and_says_so(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_data, "BYTES_MAX", 8_000)
    page = build_report(run)
    data = embedded(page)
    size = sum(len(vehicle[key]) for vehicle in data["vehicles"] for key in ("xy", "yaw", "v", "d"))
    assert data["tick"]["dt"] > 0.1 and size < 10_000
    assert any("thinned to one sample per" in note for note in data["notes"])
    monkeypatch.undo()
    build_report(run)


def test_runs_are_compared_in_one_table(run: Path, tmp_path: Path) -> None:
    make_run(tmp_path / "clean", count=4, mcap=False)
    text = compare_reports([run, tmp_path / "clean"], tmp_path / "c.html").read_text()
    assert "mean_delay_s" in text and 'class="better"' in text
    with pytest.raises(ConfigError, match="give at least two"):
        compare_reports([run], tmp_path / "c.html")


def test_a_picture_is_drawn(run: Path, tmp_path: Path) -> None:
    raw = picture(run, tmp_path / "p.png").read_bytes()
    assert raw[:8] == b"\x89PNG\r\n\x1a\n" and len(raw) > 20_000


@pytest.mark.slow
def test_the_script_of_the_page_runs_in_a_browser(run: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine to run the page's script")
    page = (run / "report.html").as_uri() + "#t=9.5"
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", page]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert re.search(r'id="clock">9\.5 s<', dom)
    assert dom.count('class="veh') >= 3 and "8 of 8 crossed" in dom and "accept;" in dom
