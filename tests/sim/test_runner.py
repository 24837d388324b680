"""The runner: the files of a run, and how a run ends: well, unfinished, interrupted, by a defect."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from fleet.errors import ConfigError, FleetError, HardwareError
from hardware.vehicle import load_vehicle
from planners.paths import pose_at
from sim import runner
from sim.decision_log import check_chain, read_decisions
from sim.interrupt import Interrupt
from sim.maps.builtin import build
from sim.metric_defs import DEFINITIONS
from sim.records import RunLog
from sim.run_folder import FILES
from sim.scenario import load_scenario
from sim.trajectory_log import read_trajectories
from tests.sim.whole_runs import Outcome, drive, inside_zones, write_scenario

ROOT = Path(__file__).resolve().parents[2]
CAR = load_vehicle("car")
needs_bullet = pytest.mark.skipif(importlib.util.find_spec("pybullet") is None, reason="pybullet is not installed")


@pytest.fixture(scope="module")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The run of ``make run``."""
    if importlib.util.find_spec("pybullet") is None:
        pytest.skip("pybullet is not installed")
    return drive("four_way", tmp_path_factory.mktemp("run") / "four_way", mcap=True)


# --- what a run leaves behind


def test_eight_vehicles_cross_in_physics_without_touching(crossing: Outcome) -> None:
    crossing.safe()
    assert crossing.metric("vehicles") == 8
    assert crossing.metric("breaches") == 0
    assert crossing.metric("commits") >= 8
    assert crossing.manifest["counters"]["no_contingency_ticks"] == 0


def test_the_zone_is_shared_but_not_by_vehicles_in_conflict(crossing: Outcome) -> None:
    """Agreement is for more than taking turns: compatible movements are inside together, without contact."""
    at_once = inside_zones(crossing.out)
    assert max(map(len, at_once.values())) >= 2
    assert set().union(*at_once.values()) == {f"v{k:03d}" for k in range(8)}
    assert crossing.metric("gap_m_min") > 0.0


def test_every_file_of_the_contract_is_there_and_nothing_else(crossing: Outcome) -> None:
    assert sorted(path.name for path in crossing.out.iterdir()) == sorted(FILES)


def test_the_manifest_says_what_ran(crossing: Outcome) -> None:
    manifest, scenario = crossing.manifest, load_scenario("four_way")
    assert manifest["scenario"] == {"name": "four_way", "path": scenario.source, "sha256": scenario.source_sha256}
    assert (manifest["seed"], manifest["planner"], manifest["mechanism"]) == (1, "first_come", "first_come")
    assert (manifest["backend"], manifest["status"], manifest["interrupted"]) == ("bullet", 0, False)
    assert re.fullmatch(r"[0-9a-f]{64}", manifest["charter_id"])
    assert manifest["sim_s"] > 30.0
    assert manifest["wall_s"] > 0.0
    assert {"python", "numpy", "pybullet", "pynacl"} <= set(manifest["versions"])
    assert {"physics", "control", "planning", "protocol", "crypto", "logging", "setup"} <= set(manifest["timings_s"])
    assert all(seconds >= 0.0 for seconds in manifest["timings_s"].values())


def test_the_loop_has_no_time_that_its_parts_do_not_account_for(crossing: Outcome) -> None:
    manifest = crossing.manifest
    parts = sum(seconds for name, seconds in manifest["timings_s"].items() if name != "setup")
    assert 0.5 * manifest["wall_s"] < parts <= 1.6 * manifest["wall_s"]


def test_vehicles_have_size_way_and_times(crossing: Outcome) -> None:
    vehicles = crossing.vehicles
    assert [vehicle["id"] for vehicle in vehicles] == [f"v{k:03d}" for k in range(8)]
    for vehicle in vehicles:
        assert (vehicle["class"], vehicle["length_m"], vehicle["width_m"]) == ("car", 5.0, 1.8)
        assert (vehicle["wheelbase_m"], vehicle["rear_m"]) == (2.8, 1.05)
        assert vehicle["role"] == "honest"
        assert {vehicle["origin"], vehicle["destination"]} <= {"N", "E", "S", "W"}
        took = vehicle["departure_s"] - vehicle["arrival_s"]
        assert took == pytest.approx(vehicle["free_flow_s"] + vehicle["delay_s"], abs=1e-5)
        # Alone it takes the way at the limit, and a little longer in a bend.
        assert 500.0 / 13.89 - 3.0 < vehicle["free_flow_s"] < 500.0 / 13.89 + 8.0
        assert vehicle["delay_s"] > -0.3


def test_trajectories_are_the_centres_of_the_footprints(crossing: Outcome) -> None:
    columns = ["t_s", "vehicle_id", "x_m", "y_m", "yaw_rad", "speed_mps", "accel_mps2", "steer_rad", "phase"]
    assert pq.read_schema(crossing.out / "trajectories.parquet").names == columns
    truth = crossing.truth
    assert np.isfinite(truth.state).all()
    paths = {path.path_id: path for path in build("four_way").paths}
    for record in crossing.vehicles:
        rows = np.flatnonzero(truth.vehicle == truth.vehicle_ids.index(record["id"]))
        times = truth.t_s[rows]
        assert np.diff(times) == pytest.approx(0.05, abs=1e-6)
        assert 0.0 <= times[0] - record["arrival_s"] < 0.1
        assert 0.0 <= record["departure_s"] - times[-1] <= 0.1
        # It starts with its rear bumper at the start of its path.
        x, y, yaw = pose_at(paths[record["path_id"]], CAR.body.rear_overhang_m)
        ahead = 0.5 * CAR.body.length_m - CAR.body.rear_overhang_m
        centre = (x + ahead * np.cos(yaw), y + ahead * np.sin(yaw))
        assert truth.state[rows[0], :2] == pytest.approx(centre, abs=1e-6)
        # Speed is the change of position.
        moved = np.hypot(*np.diff(truth.state[rows, :2], axis=0).T)
        assert moved == pytest.approx(0.05 * truth.state[rows[1:], 3], abs=0.02)


def test_phases_tell_the_way_through_the_junction(crossing: Outcome) -> None:
    truth = crossing.truth
    assert {"approach", "committed", "crossing"} <= set(truth.phase_names)
    for code in range(8):
        phases = [truth.phase_names[k] for k in truth.phase[truth.vehicle == code]]
        assert phases.index("committed") < phases.index("crossing")


def test_the_decision_log_is_chained_and_told_to_the_manifest(crossing: Outcome) -> None:
    check = check_chain(crossing.out)
    assert check.bad_line is None
    assert crossing.manifest["decisions"] == {"records": check.count, "last_hash": check.last_hash}
    records = list(read_decisions(crossing.out))
    assert (records[0].kind, records[-1].kind) == ("start", "end")
    assert {"proposal", "vote", "certificate", "commit", "release"} <= {record.kind for record in records}
    times = [record.time_ms for record in records]
    assert times == sorted(times)


def test_nobody_enters_the_zone_before_it_has_committed(crossing: Outcome) -> None:
    """From two logs that know nothing of each other: the commit records and the true outlines."""
    commits: dict[str, int] = {}
    for record in read_decisions(crossing.out):
        if record.kind == "commit":
            commits.setdefault(record.node, record.time_ms)
    entered: dict[str, float] = {}
    for time_s, names in sorted(inside_zones(crossing.out).items()):
        for name in names:
            entered.setdefault(name, time_s)
    assert len(entered) == 8
    for name, time_s in entered.items():
        assert commits[name] <= 1000.0 * time_s


def test_metrics_are_those_of_the_summary_in_the_order_of_their_definitions(crossing: Outcome) -> None:
    written = json.loads((crossing.out / "metrics.json").read_text())
    assert [(m["name"], m["unit"], m["definition"]) for m in written] == [
        (d.name, d.unit, d.definition) for d in DEFINITIONS
    ]
    assert [m["value"] for m in written] == [metric.value for metric in crossing.summary.metrics]


def test_the_mcap_file_opens_and_holds_every_topic(crossing: Outcome) -> None:
    from mcap.reader import make_reader
    from mcap_ros2.decoder import DecoderFactory

    counts: dict[str, int] = {}
    with (crossing.out / "run.mcap").open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        for _, channel, message, decoded in reader.iter_decoded_messages():
            counts[channel.topic] = counts.get(channel.topic, 0) + 1
            if channel.topic == "/v000/odom":
                assert decoded.header.frame_id == "map"
                stamp = decoded.header.stamp
                assert stamp.sec * 10**9 + stamp.nanosec == message.log_time
    assert {f"/v{k:03d}/odom" for k in range(8)} | {"/clock", "/fleet/map", "/fleet/markers"} <= set(counts)
    assert {f"/v{k:03d}/committed_path" for k in range(8)} <= set(counts)
    assert counts["/fleet/envelopes"] == crossing.metric("messages")


def test_the_report_names_the_run_and_its_verdict(crossing: Outcome) -> None:
    page = (crossing.out / "report.html").read_text(encoding="utf-8")
    assert "8 of 8 crossed, 0 contacts, all expectations met" in page
    assert "four_way" in page
    assert not re.search(r"https?://", page)


def test_true_bodies_stay_within_the_error_budget_of_their_plans(crossing: Outcome) -> None:
    """What the verifier inflates footprints by is more than what physics makes of a plan."""
    samples, budget = crossing.manifest["samples"], CAR.tracking
    assert samples["tracking_lateral_m"]["count"] > 1_000
    assert 0.0 < samples["tracking_lateral_m"]["max"] < budget.lateral_m
    assert 0.0 < samples["tracking_longitudinal_m"]["max"] < budget.longitudinal_m


# --- rates, worlds, folders


def test_truth_is_logged_every_50_ms_or_finer_whatever_the_tick(tmp_path: Path) -> None:
    rows = {}
    for tick_s, log_s in ((0.1, 0.05), (0.05, 0.01), (0.02, 0.05)):
        control = f"control: {{period_s: {tick_s}, log_period_s: {log_s}}}"
        text = f"map: {{builtin: four_way}}\ndemand: {{count: 2}}\nworld: kinematic\nduration_s_max: 6\n{control}\n"
        out = drive(write_scenario(tmp_path, text), tmp_path / "out")
        truth = read_trajectories(out.out)
        rows[tick_s, log_s] = truth
        mine = truth.t_s[truth.vehicle == 0]
        assert np.diff(mine) == pytest.approx(min(tick_s, log_s), abs=1e-6)
        assert out.metric("simulated_s") == pytest.approx(6.0)
    # Between two ticks the log shows the motion, not the last tick again.
    truth = rows[0.05, 0.01]
    x = truth.state[truth.vehicle == 0][:, :2]
    assert np.hypot(*np.diff(x, axis=0).T) == pytest.approx(0.01 * truth.state[truth.vehicle == 0][1:, 3], abs=0.01)


@pytest.mark.parametrize("duration_s", [0.05, 0.3, 2.0])
def test_a_run_of_a_few_steps_is_a_run(tmp_path: Path, duration_s: float) -> None:
    run = drive("four_way", tmp_path / "out", world="kinematic", duration_s=duration_s)
    assert run.manifest["sim_s"] == pytest.approx(duration_s)
    assert run.summary.status == 3
    assert run.summary.verdict.startswith("0 of 8 crossed, 0 contacts")


def test_vehicles_that_never_came_in_are_unfinished_and_wait(tmp_path: Path) -> None:
    text = (
        "map: {builtin: four_way}\nworld: kinematic\nduration_s_max: 1\ndemand:\n  vehicles:\n"
        "    - {id: stands, path: N_straight, start_s_m: 4.0, speed_mps: 0.0, role: legacy}\n"
        "    - {id: waits, path: N_straight, arrival_s: 0.0}\n"
        "    - {id: later, path: S_straight, arrival_s: 100.0}\n"
    )
    run = drive(write_scenario(tmp_path, text), tmp_path / "out")
    assert [vehicle["id"] for vehicle in run.vehicles] == ["stands", "waits", "later"]
    assert run.truth.vehicle_ids == ("stands",)
    assert (run.metric("vehicles"), run.metric("unfinished"), run.summary.status) == (3, 3, 3)
    assert run.metric("wait_s_max") == pytest.approx(1.0, abs=0.1)


def test_an_earlier_run_is_replaced_whole(tmp_path: Path) -> None:
    first = drive("four_way", tmp_path, world="kinematic", duration_s=1.0, mcap=True)
    assert (first.out / "run.mcap").exists()
    (tmp_path / "notes.txt").write_text("mine")
    second = drive("t_junction", tmp_path, world="kinematic", duration_s=1.0)
    assert not (second.out / "run.mcap").exists()
    assert second.manifest["scenario"]["name"] == "t_junction"
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="is not empty and holds no earlier run"):
        drive("four_way", tmp_path, world="kinematic", duration_s=1.0)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_unknown_world_is_a_known_error() -> None:
    with pytest.raises(ConfigError, match="no world named 'moon'; known: bullet, kinematic"):
        runner.make_world("moon")


def test_worlds_are_closed_however_a_run_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A physics server that stays open is memory that no sweep gives back."""
    opened, closed = [], []

    def counted(name: str):  # type: ignore[no-untyped-def]
        world = real(name)
        opened.append(world)
        close = world.close
        monkeypatch.setattr(world, "close", lambda: (closed.append(world), close()))
        return world

    real = runner.make_world
    monkeypatch.setattr(runner, "make_world", counted)
    drive("four_way", tmp_path / "a", world="kinematic", duration_s=1.0)
    (tmp_path / "b").write_text("a file")
    with pytest.raises(ConfigError):
        drive("four_way", tmp_path / "b", world="kinematic", duration_s=1.0)
    assert len(opened) == 4
    assert {id(world) for world in closed} == {id(world) for world in opened}


# --- how a run ends


def test_an_unmet_expectation_is_status_3(tmp_path: Path) -> None:
    text = "map: {builtin: four_way}\ndemand: {count: 4}\nworld: kinematic\nexpectations: {mean_delay_s_max: -1.0}\n"
    run = drive(write_scenario(tmp_path, text), tmp_path / "out")
    assert run.metric("unfinished") == 0
    assert (run.summary.status, run.manifest["status"]) == (3, 3)
    (failed,) = run.manifest["failed"]
    assert "mean_delay_s" in failed
    assert "-1" in failed


@pytest.mark.parametrize(("error", "status"), [(ZeroDivisionError("a defect"), 1), (HardwareError("known"), 2)])
def test_a_defect_in_the_middle_leaves_a_readable_run_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    depart = runner.Run._depart

    def broken(self: runner.Run) -> None:
        if self.now_ms >= 7_000:
            raise error
        depart(self)

    monkeypatch.setattr(runner.Run, "_depart", broken)
    with pytest.raises(type(error), match=str(error)):
        drive("four_way", tmp_path, world="kinematic", mcap=True)
    manifest = json.loads((tmp_path / "run.json").read_text())
    assert manifest["status"] == status
    assert not manifest["interrupted"]
    assert check_chain(tmp_path).bad_line is None
    assert read_trajectories(tmp_path).t_s[-1] == pytest.approx(6.95)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)


def test_an_error_is_not_hidden_by_one_while_writing_it_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object, *args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("the cause")

    def also_broken(self: RunLog, **kwargs: object) -> None:
        self._decisions.close()
        raise FleetError("the disk is full")

    monkeypatch.setattr(runner.Run, "_depart", broken)
    monkeypatch.setattr(RunLog, "finish", also_broken)
    with pytest.raises(ZeroDivisionError, match="the cause"):
        drive("four_way", tmp_path, world="kinematic")


def start(out: Path, *args: str) -> subprocess.Popen[str]:
    """A real ``fleet run`` whose terminal somebody sits at."""
    line = [sys.executable, "-m", "fleet", "run", *args, "--out", str(out)]
    return subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(process: subprocess.Popen[str], condition, timeout_s: float = 60.0) -> None:  # type: ignore[no-untyped-def]
    limit = time.monotonic() + timeout_s
    while not condition():
        assert process.poll() is None, f"ended too early with {process.returncode}: {process.communicate()[1]}"
        assert time.monotonic() < limit, "nothing happened"
        time.sleep(0.01)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_records_that_can_be_read(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    out = tmp_path / "out"
    process = start(out, "four_way_300vph", "--no-mcap")
    log = out / "decisions.jsonl"
    wait_for(process, lambda: log.is_file() and log.stat().st_size > 20_000)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60.0)
    assert process.returncode == status, stderr
    assert "Traceback" not in stderr
    assert "interrupted: " in stdout
    manifest = json.loads((out / "run.json").read_text())
    assert (manifest["interrupted"], manifest["status"]) == (True, status)
    assert manifest["verdict"].startswith("interrupted: ")
    check = check_chain(out)
    assert check.bad_line is None
    assert (check.count, check.last_hash) == (manifest["decisions"]["records"], manifest["decisions"]["last_hash"])
    assert list(read_decisions(out))[-1].detail["interrupted"] is True
    truth = read_trajectories(out)
    assert truth.t_s[-1] == pytest.approx(manifest["sim_s"], abs=0.06)
    assert len(json.loads((out / "vehicles.json").read_text())) > len(truth.vehicle_ids) > 0
    assert '"state":"interrupted"' in (out / "report.html").read_text(encoding="utf-8").replace(": ", ":")


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_an_interrupt_while_the_run_is_being_prepared_leaves_nothing(tmp_path: Path) -> None:
    """At the first sign of life, which is before the folder is claimed."""
    out = tmp_path / "out"
    process = start(out, "four_way")
    assert process.stderr is not None
    assert process.stderr.readline() == "building four_way\n"
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60.0)
    assert process.returncode == 130
    assert stdout == ""
    assert [line for line in stderr.splitlines() if line][-1] == "fleet: interrupted"
    assert "Traceback" not in stderr
    assert not out.exists()


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_the_first_interrupt_is_noted_and_the_second_acts() -> None:
    with Interrupt() as interrupt:
        assert (interrupt.caught, interrupt.status) == (None, 0)
        signal.raise_signal(signal.SIGINT)
        assert (interrupt.caught, interrupt.status) == (signal.SIGINT, 130)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_an_ignored_interrupt_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            signal.raise_signal(signal.SIGINT)
            assert interrupt.caught is None
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
