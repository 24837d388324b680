"""The run folder: every file of the contract, the same bytes twice, and honest behaviour when a run dies."""

from __future__ import annotations

import hashlib
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.errors import ConfigError, InvariantError
from sim import run_folder
from sim._cdr import CdrWriter
from sim.decision_log import DecisionLog, check_chain, read_decisions
from sim.records import RunLog, VehicleInfo
from sim.trajectory_log import read_trajectories
from tests.sim.synthetic_run import LENGTH_M, REAR_M, WHEELBASE_M, WIDTH_M, four_way, make_run


def info(name: str, **changes: object) -> VehicleInfo:
    values: dict[str, object] = {
        "vehicle_id": name,
        "vehicle_class": "car",
        "length_m": LENGTH_M,
        "width_m": WIDTH_M,
        "wheelbase_m": WHEELBASE_M,
        "rear_m": REAR_M,
        "origin": "S",
        "destination": "N",
        "path_id": "S-N",
        "role": "honest",
        "arrival_s": 1.0,
        "free_flow_s": 12.0,
    }
    return VehicleInfo(**(values | changes))  # type: ignore[arg-type]


def finish(log: RunLog, **changes: object):
    values: dict[str, object] = {
        "status": 0,
        "interrupted": False,
        "wall_s": 1.0,
        "sim_s": 2.0,
        "timings": {},
        "expectations": {},
    }
    return log.finish(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "r"
    make_run(out, count=4)
    return out


def test_a_run_leaves_every_file_of_the_contract(run: Path) -> None:
    names = "run.json vehicles.json trajectories.parquet decisions.jsonl metrics.json run.mcap report.html map.json"
    assert sorted(p.name for p in run.iterdir()) == sorted(names.split())


def test_trajectories_have_the_columns_of_the_contract_and_the_centre_of_the_footprint(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    log = RunLog.create(tmp_path / "r", {}, four_way(), mcap=False)
    log.vehicle(info("a"))
    log.truth(0.05, ["a"], np.array([[1.0, 2.0, math.pi / 2, 3.0, 0.5, 0.1]]), ["idle"])
    finish(log)
    table = pq.read_table(tmp_path / "r" / "trajectories.parquet")
    columns = "t_s vehicle_id x_m y_m yaw_rad speed_mps accel_mps2 steer_rad phase"
    assert table.column_names == columns.split()
    row = table.to_pylist()[0]
    assert (row["t_s"], row["vehicle_id"], row["phase"]) == (0.05, "a", "idle")
    assert (row["x_m"], row["y_m"]) == pytest.approx((1.0, 2.0 + LENGTH_M / 2 - REAR_M))


def test_rows_survive_many_row_groups_and_changing_vehicles(tmp_path: Path) -> None:
    log = RunLog.create(tmp_path / "r", {}, four_way(), mcap=False)
    rng = np.random.default_rng(1)
    names = [f"v{k}" for k in range(6)]
    for name in names:
        log.vehicle(info(name, rear_m=LENGTH_M / 2))  # the axle at the centre: rows come back as given
    expected = []
    for k in range(400):
        present = [names[j] for j in sorted(rng.choice(6, size=int(rng.integers(0, 7)), replace=False))]
        state = rng.normal(size=(len(present), 6))
        phases = [("idle", "committed")[int(rng.integers(2))] for _ in present]
        log.truth(k * 0.05, present, state, phases)
        expected += [
            (round(k * 0.05, 6), n, tuple(s), p) for n, s, p in zip(present, state.tolist(), phases, strict=True)
        ]
    finish(log)
    got = read_trajectories(tmp_path / "r")
    rows = [
        (t, got.vehicle_ids[v], tuple(s), got.phase_names[p])
        for t, v, s, p in zip(
            got.t_s.tolist(), got.vehicle.tolist(), got.state.tolist(), got.phase.tolist(), strict=True
        )
    ]
    assert rows == expected


def test_rows_of_a_vehicle_that_was_never_announced_are_refused(tmp_path: Path) -> None:
    log = RunLog.create(tmp_path / "r", {}, four_way(), mcap=False)
    with pytest.raises(KeyError, match="'ghost' has rows but was never announced"):
        log.truth(0.0, ["ghost"], np.zeros((1, 6)), ["idle"])
    log.vehicle(info("a"))
    with pytest.raises(InvariantError, match="announced twice"):
        log.vehicle(info("a"))
    finish(log)


def test_the_same_run_twice_gives_the_same_bytes_under_another_hash_seed(tmp_path: Path) -> None:
    code = "import sys, pathlib, tests.sim.synthetic_run as s; s.make_run(pathlib.Path(sys.argv[1]), count=3)"
    digests = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])}
        subprocess.run([sys.executable, "-c", code, str(out)], env=env, check=True)
        digests.append(
            [
                hashlib.sha256((out / name).read_bytes()).hexdigest()
                for name in ("decisions.jsonl", "trajectories.parquet", "run.mcap")
            ]
        )
    assert digests[0] == digests[1]


def test_delay_is_departure_less_arrival_less_free_flow(tmp_path: Path) -> None:
    log = RunLog.create(tmp_path / "r", {}, four_way(), mcap=False)
    log.vehicle(info("a"))
    log.vehicle(info("b", free_flow_s=None))
    log.vehicle(info("c"))
    log.departed("a", 16.5)
    log.departed("b", 20.0)
    finish(log)
    rows = {row["id"]: row for row in json.loads((tmp_path / "r" / "vehicles.json").read_text())}
    assert (rows["a"]["departure_s"], rows["a"]["delay_s"], rows["a"]["class"]) == (16.5, 3.5, "car")
    assert (rows["b"]["departure_s"], rows["b"]["delay_s"]) == (20.0, None)
    assert (rows["c"]["departure_s"], rows["c"]["delay_s"]) == (None, None)


def test_a_folder_of_an_earlier_run_is_replaced_and_a_foreign_one_refused(tmp_path: Path) -> None:
    out = tmp_path / "r"
    finish(RunLog.create(out, {"seed": 1}, four_way()))
    finish(RunLog.create(out, {"seed": 2}, four_way(), mcap=False))
    assert json.loads((out / "run.json").read_text())["seed"] == 2
    assert not (out / "run.mcap").exists()
    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "cat.jpg").write_bytes(b"meow")
    with pytest.raises(ConfigError, match="holds no earlier run"):
        RunLog.create(foreign, {}, four_way())
    assert [p.name for p in foreign.iterdir()] == ["cat.jpg"]
    with pytest.raises(ConfigError, match="is a file"):
        RunLog.create(foreign / "cat.jpg", {}, four_way())


KILLED = """
import os, signal, sys
from pathlib import Path
from sim.records import RunLog
from tests.sim.synthetic_run import four_way
log = RunLog.create(Path(sys.argv[1]), {"seed": 1}, four_way(), mcap=False)
for k in range(100):
    log.decision(k * 50, "a", "vote", {"k": k})
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_leaves_decisions_that_can_be_read(tmp_path: Path) -> None:
    out = tmp_path / "r"
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    killed = subprocess.run([sys.executable, "-c", KILLED, str(out)], env=env, check=False)
    assert killed.returncode == -signal.SIGKILL
    path = out / "decisions.jsonl"
    path.write_bytes(path.read_bytes() + b'{"detail":{"torn')  # as if a write had been cut
    assert list(read_decisions(out))[-1].time_ms >= 3_900  # at most one simulated second is lost
    assert check_chain(out).bad_line is None
    with pytest.raises(ConfigError, match="killed before"):
        run_folder.RunFolder.load(out)
    finish(RunLog.create(out, {"seed": 2}, four_way(), mcap=False))  # its folder may be used again


def test_an_interrupted_run_is_whole_and_says_so(tmp_path: Path) -> None:
    summary = make_run(tmp_path / "r", count=6, interrupt_s=8.0)
    assert summary.interrupted and summary.verdict.startswith("interrupted: ") and summary.expectations == ()
    assert json.loads((tmp_path / "r" / "run.json").read_text())["interrupted"] is True
    assert len(read_trajectories(tmp_path / "r").t_s) > 0
    assert '"state":"interrupted"' in (tmp_path / "r" / "report.html").read_text()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda lines: [*lines[:3], lines[3].replace(b"true", b"false"), *lines[4:]], "content does not match"),
        (lambda lines: [*lines[:3], *lines[4:]], "stands where 3 belongs"),
        (lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]], "stands where 3 belongs"),
    ],
)
def test_the_hash_chain_shows_where_a_log_was_altered(tmp_path: Path, change, reason: str) -> None:
    log = DecisionLog(tmp_path)
    for k in range(8):
        log.append(k, "a", "vote", {"accept": True, "k": k})
    log.close()
    path = tmp_path / "decisions.jsonl"
    assert check_chain(tmp_path).count == 8
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    found = check_chain(tmp_path)
    assert found.bad_line == 4 and reason in found.reason


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(width=32)
    | st.text(max_size=8)
    | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4), inner, max_size=3)
        | st.frozensets(st.text(max_size=3), max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(detail=st.dictionaries(st.text(max_size=6), VALUES, max_size=4))
def test_any_detail_gives_a_chain_that_holds_and_reads_back(
    tmp_path_factory: pytest.TempPathFactory, detail: dict[str, object]
) -> None:
    folder = tmp_path_factory.mktemp("chain")
    log = DecisionLog(folder)
    log.append(1, "nöde", "kind", detail)
    log.append(2, "a", "kind", {"x": np.float64(0.1) + 0.2, "n": np.int64(3), "t": (1, -0.0)})
    log.close()
    assert check_chain(folder) == check_chain(folder) and check_chain(folder).count == 2
    second = list(read_decisions(folder))[1]
    assert second.detail == {"x": 0.3, "n": 3, "t": [1, 0.0]}


def test_mcap_messages_decode_to_what_was_logged(tmp_path: Path) -> None:
    from mcap.reader import make_reader
    from mcap_ros2.decoder import DecoderFactory

    log = RunLog.create(tmp_path / "r", {}, four_way())
    log.vehicle(info("car-1"))
    log.vehicle(info("7", width_m=2.0))
    state = np.array([[1.5, -2.0, 0.7, 8.0, 0.2, 0.1], [3.0, 4.0, -2.5, 2.0, 0.0, -0.2]])
    for k in range(25):
        log.truth(k * 0.05, ["car-1", "7"], state, ["committed", "waiting"])
    log.plan(400, "car-1", np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 2.0]]))
    log.count("messages", 3)
    log.envelope(450, "7", bytes(range(200)))
    finish(log)
    found: dict[str, list] = {}
    with (tmp_path / "r" / "run.mcap").open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        assert reader.get_header().profile == "ros2"
        for _, channel, message, decoded in reader.iter_decoded_messages():
            found.setdefault(channel.topic, []).append((message.log_time, decoded))
    assert [t for t, _ in found["/car_1/odom"]] == [k * 100_000_000 for k in range(13)]
    odom = found["/car_1/odom"][3][1]
    assert (odom.header.frame_id, odom.child_frame_id) == ("map", "car_1/base_link")
    assert (odom.header.stamp.sec, odom.header.stamp.nanosec) == (0, 300_000_000)
    assert (odom.pose.pose.position.x, odom.pose.pose.position.y) == (1.5, -2.0)
    assert 2 * math.atan2(odom.pose.pose.orientation.z, odom.pose.pose.orientation.w) == pytest.approx(0.7)
    assert odom.twist.twist.linear.x == 8.0
    assert odom.twist.twist.angular.z == pytest.approx(8.0 * math.tan(0.1) / WHEELBASE_M)
    path = found["/car_1/committed_path"][0][1]
    assert [(p.header.frame_id, p.pose.position.x, p.pose.position.y) for p in path.poses] == [
        ("map", 0, 0),
        ("map", 1, 1),
        ("map", 1, 2),
    ]
    assert 2 * math.atan2(path.poses[0].pose.orientation.z, path.poses[0].pose.orientation.w) == pytest.approx(
        math.pi / 4
    )
    box, label = found["/fleet/markers"][2][1].markers[2:4]
    assert (box.ns, box.id, box.type, box.scale.x, box.scale.y) == ("vehicles", 1, 1, LENGTH_M, 2.0)
    assert box.pose.position.x == pytest.approx(3.0 + (LENGTH_M / 2 - REAR_M) * math.cos(-2.5))
    assert (label.text, label.type, label.lifetime.nanosec) == ("7", 9, 400_000_000)
    assert box.color.r == pytest.approx(0xF7 / 255, abs=1e-6)
    lanes = found["/fleet/map"][0][1].markers
    assert len(lanes) == len(four_way().lanes) + 1 and len(lanes[0].points) == 5
    status = found["/fleet/diagnostics"][1][1].status
    assert [(s.name, s.message) for s in status[1:]] == [("car-1", "committed"), ("7", "waiting")]
    assert bytes(found["/fleet/envelopes"][0][1].data) == bytes(range(200))
    assert found["/clock"][4][1].clock.nanosec == 400_000_000


@settings(max_examples=50, deadline=None)
@given(n=st.integers(0, 5), text=st.text(alphabet="abc", max_size=6))
def test_the_record_array_of_a_path_is_what_the_plain_writer_writes(n: int, text: str) -> None:
    from sim import _cdr

    xy = np.cumsum(np.ones((n, 2)), axis=0)
    plain = CdrWriter()
    plain.header(5_000_000_007, "map")
    plain.uint32(n)
    for x, y in xy.tolist():
        plain.header(5_000_000_007, "map")
        plain.pose(x, y, 0.0, math.pi / 4 if n > 1 else 0.0)
    fast = _cdr.path(5_000_000_007, xy)
    assert len(fast) == len(plain.out) and fast[:40] == bytes(plain.out[:40])
    if n:
        offset = 4 + 40  # the first pose
        assert np.frombuffer(fast, "<f8", 7, offset) == pytest.approx(np.frombuffer(bytes(plain.out), "<f8", 7, offset))
        last = len(fast) - 56
        assert np.frombuffer(fast, "<f8", 7, last) == pytest.approx(np.frombuffer(bytes(plain.out), "<f8", 7, last))


def test_contacts_fail_a_run_unless_expected_otherwise(tmp_path: Path) -> None:
    def crash(log: RunLog) -> None:
        log.contact(3.0, "car_1", "car_2", 0.1)

    summary = make_run(tmp_path / "a", count=3, mcap=False, after=crash, expectations={})
    assert summary.status == 3 and [check.text for check in summary.failed] == ["contacts is 1, expected = 0"]
    summary = make_run(tmp_path / "a", count=3, mcap=False, after=crash, expectations={"contacts_max": 1})
    assert summary.status == 0 and summary.failed == ()
    assert json.loads((tmp_path / "a" / "run.json").read_text())["status"] == 0


def test_the_summary_table_shows_every_metric(tmp_path: Path) -> None:
    from rich.console import Console

    from sim.summary import print_summary

    summary = make_run(tmp_path / "a", count=3, mcap=False)
    console = Console(record=True, width=120, file=open(os.devnull, "w"))  # noqa: SIM115
    print_summary(summary, console)
    console.file.close()
    text = console.export_text()
    assert "3 of 3 crossed, 0 contacts, all expectations met" in text
    assert all(metric.name in text for metric in summary.metrics)
