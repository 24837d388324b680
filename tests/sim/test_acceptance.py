"""What the system promises, run whole: recorded fleets, the common workload, broken radios, silent cars, bad input."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fleet.cli.main import run as fleet
from tests.sim.whole_runs import DATA, Outcome, drive, inside_zones, needs_data, write_scenario

COMMONROAD = DATA / "commonroad"
soak = pytest.mark.soak
WORKLOAD = 25
"""Arrivals of the common workload that the normal suite takes."""


def needs(module: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=f"{module} is not installed")


# --- recorded fleets in physics


@needs_data
@needs("pybullet")
@needs("commonroad")
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("USA_Peach-4_8_T-1", 9),
        ("ZAM_Tjunction-1_97_T-1", 5),
        ("FRA_Anglet-1_1_T-1", 8),
        ("LabMapCommonRoad", 8),
        ("USA_Lanker-1_3_T-1", 36),
        ("DEU_Flensburg-10_1_T-1", 27),
    ],
)
def test_a_recorded_fleet_crosses_by_agreement(tmp_path: Path, name: str, count: int) -> None:
    run = drive(COMMONROAD / f"{name}.xml", tmp_path / "out")
    run.safe()
    assert run.metric("vehicles") == count
    assert run.manifest["backend"] == "bullet"
    assert run.metric("commits") > 0
    for item in run.manifest["left_out"]:
        assert item["what"]
        assert item["why"]


@needs_data
@needs("pybullet")
@needs("commonroad")
def test_model_cars_are_a_class_of_their_own_and_drive_at_their_scale(tmp_path: Path) -> None:
    run = drive(COMMONROAD / "LabMapCommonRoad.xml", tmp_path / "out")
    for vehicle in run.vehicles:
        assert vehicle["class"].startswith("model_car_1_18")
        assert 0.1 < vehicle["length_m"] < 0.4
    # 1:18 of 50 km/h would be 0.77 m/s; the track's cars are faster than that and slower than a full-size car.
    assert 0.3 < run.truth.state[:, 3].max() < 4.0


# --- the common workload


@pytest.fixture(scope="module")
def first_arrivals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scenario with the first arrivals of the common workload."""
    if not DATA.is_dir():
        pytest.skip("no shared/data beside the checkout")
    folder = tmp_path_factory.mktemp("workload")
    rows = (DATA / "demand" / "four_way_1lane_300vph_seed1.csv").read_text(encoding="utf-8").splitlines()
    (folder / "arrivals.csv").write_text("\n".join(rows[: WORKLOAD + 1]) + "\n", encoding="utf-8")
    keys = "map: {builtin: four_way}\ndemand: {csv: arrivals.csv}\nworld: kinematic\nduration_s_max: 900\n"
    return write_scenario(folder, keys + "network: {delay_ms: 20}\n", "workload")


@pytest.fixture(scope="module")
def agreed(first_arrivals: Path) -> Outcome:
    return drive(first_arrivals, first_arrivals.parent / "first_come")


def test_agreement_beats_the_all_way_stop_by_far(agreed: Outcome, first_arrivals: Path) -> None:
    stopping = drive(first_arrivals, first_arrivals.parent / "all_way_stop", planner="all_way_stop")
    for run in (agreed, stopping):
        run.safe()
        assert run.metric("vehicles") == WORKLOAD
    arrivals = [[vehicle["arrival_s"] for vehicle in run.vehicles] for run in (agreed, stopping)]
    assert arrivals[0] == arrivals[1]
    assert agreed.metric("mean_delay_s") < 0.25 * stopping.metric("mean_delay_s")
    assert agreed.metric("p95_delay_s") < stopping.metric("p95_delay_s")
    assert agreed.metric("stops_per_vehicle") < 0.5 < stopping.metric("stops_per_vehicle")


def test_the_all_way_stop_stops_everybody_before_the_zone(first_arrivals: Path) -> None:
    run = drive(first_arrivals, first_arrivals.parent / "rule", planner="all_way_stop", duration_s=60.0)
    truth, entered = run.truth, {}
    for time_s, names in sorted(inside_zones(run.out).items()):
        for name in names:
            entered.setdefault(name, time_s)
    assert len(entered) >= 8
    for name, time_s in entered.items():
        before = (truth.vehicle == truth.vehicle_ids.index(name)) & (truth.t_s <= time_s)
        assert truth.state[before, 3].min() < 0.05


def test_lost_bursts_and_delay_cost_time_and_nothing_else(agreed: Outcome, first_arrivals: Path) -> None:
    run = drive(first_arrivals, first_arrivals.parent / "lossy", loss=0.3, burst=5.0, delay_ms=50.0)
    run.safe()
    counters = run.manifest["counters"]
    assert counters["network_lost"] / counters["network_copies"] == pytest.approx(0.3, abs=0.03)
    assert run.metric("agreement_latency_s_p50") > agreed.metric("agreement_latency_s_p50")
    assert run.metric("mean_delay_s") < 10.0


# --- broken radios


def test_bursts_of_loss_in_the_ready_scenario(tmp_path: Path) -> None:
    for seed in (1, 2):
        run = drive("four_way_burst_loss", tmp_path / str(seed), world="kinematic", seed=seed)
        run.safe()
        assert run.manifest["counters"]["network_lost"] > 100


@needs("pybullet")
def test_without_any_radio_everybody_crosses_one_at_a_time(tmp_path: Path) -> None:
    run = drive("four_way_dead_radio", tmp_path / "out")
    run.safe()
    assert run.manifest["counters"]["network_delivered"] == 0
    assert run.metric("fallbacks") > 0
    inside = inside_zones(run.out)
    assert set().union(*inside.values()) == {vehicle["id"] for vehicle in run.vehicles}
    assert max(map(len, inside.values())) == 1


def test_vehicles_that_wait_at_lines_of_their_own_are_not_taken_to_be_inside(tmp_path: Path) -> None:
    """Right turns stop later than left turns from the same lane; with them in front (seed 2) nobody crossed."""
    run = drive("four_way_dead_radio", tmp_path / "out", world="kinematic", seed=2, duration_s=200.0)
    run.safe()
    assert max(map(len, inside_zones(run.out).values())) == 1


def test_a_dead_radio_costs_time_that_agreement_saves(tmp_path: Path) -> None:
    dead = drive("four_way", tmp_path / "dead", world="kinematic", dead=True)
    heard = drive("four_way", tmp_path / "heard", world="kinematic")
    dead.safe()
    heard.safe()
    assert heard.metric("mean_delay_s") < 0.5 * dead.metric("mean_delay_s")


# --- vehicles that do not talk


@needs("pybullet")
def test_a_silent_car_that_runs_the_junction_is_given_way(tmp_path: Path) -> None:
    run = drive("four_way_runner", tmp_path / "out")
    assert (run.metric("contacts"), run.metric("contacts_caused_by_honest")) == (0, 0)
    assert (run.metric("unfinished"), run.summary.status) == (0, 0)
    (runner,) = [vehicle for vehicle in run.vehicles if vehicle["role"] == "legacy"]
    assert runner["id"] == "v003"
    assert runner["delay_s"] < 3.0


@pytest.mark.parametrize("seed", [2, 3])
def test_whoever_the_runner_meets_no_honest_vehicle_hits_it(tmp_path: Path, seed: int) -> None:
    run = drive("four_way_runner", tmp_path / "out", world="kinematic", seed=seed)
    assert (run.metric("contacts_caused_by_honest"), run.metric("unfinished"), run.summary.status) == (0, 0, 0)


def test_silent_cars_that_yield_mix_with_the_fleet(tmp_path: Path) -> None:
    keys = "map: {builtin: four_way}\ndemand: {count: 8}\nworld: kinematic\nduration_s_max: 300\n"
    run = drive(write_scenario(tmp_path, keys + "legacy: [{share: 0.4}]\n"), tmp_path / "out")
    assert 1 <= sum(vehicle["role"] == "legacy" for vehicle in run.vehicles) <= 6
    run.safe()


# --- bad input: one line, status 2, nothing written

GOOD = "map: {builtin: four_way}\ndemand: {count: 2}\nworld: kinematic\n"
OVERLAP = (
    "map: {builtin: four_way}\nworld: kinematic\ndemand:\n  vehicles:\n"
    "    - {id: a, path: N_straight, start_s_m: 100.0}\n    - {id: b, path: N_left, start_s_m: 103.0}\n"
)
BAD_KEYS = {
    "unknown key": (GOOD + "wrld: kinematic\n", ("wrld",)),
    "unknown nested key": ("map: {builtin: four_way, armm: 3}\ndemand: {count: 2}\n", ("armm",)),
    "negative width": (
        "map: {builtin: four_way, lane_width_m: -3.5}\ndemand: {count: 2}\n",
        ("s.yaml", "lane_width_m", "> 0"),
    ),
    "NaN": (GOOD + "duration_s_max: .nan\n", ("duration_s_max", "nan")),
    "infinity": (GOOD + "duration_s_max: .inf\n", ("duration_s_max", "inf")),
    "wrong type": (GOOD + "seed: one\n", ("seed",)),
    "a demand that nobody defined": ("map: {builtin: four_way}\ndemand: {}\n", ("demand", "exactly one")),
    "a table that is not there": (
        "map: {builtin: four_way}\ndemand: {csv: nowhere.csv}\n",
        ("demand.csv", "nowhere.csv", "No such file"),
    ),
    "a vehicle file that is not there": (GOOD + "vehicle: nowhere.yaml\n", ("nowhere.yaml", "No such file")),
    "a map that is not there": (
        "map: {commonroad: nowhere.xml}\ndemand: {recorded: true}\n",
        ("map.commonroad", "nowhere.xml", "No such file"),
    ),
    "a destination that no path reaches": (
        "map: {builtin: t_junction}\nworld: kinematic\n"
        "demand: {vehicles: [{id: a, approach: S, movement: straight}]}\n",
        ("demand.vehicles[0]", "no path goes 'straight' from approach 'S'", "left, right"),
    ),
    "two vehicles that overlap at the start": (OVERLAP, ("vehicles a and b overlap at the start", "m2 in common")),
    "a vehicle in an obstacle": (
        "map: {builtin: four_way}\nworld: kinematic\nobstacles: [[[-30, -30], [30, -30], [30, 30], [-30, 30]]]\n"
        "demand:\n  vehicles: [{id: a, path: N_straight, start_s_m: 245.0}]\n",
        ("vehicle a starts in a static obstacle",),
    ),
    "a silent vehicle that does not come": (
        GOOD + "legacy: [{vehicle: v9}]\n",
        ("legacy[0].vehicle", "no vehicle 'v9'"),
    ),
    "not YAML": (GOOD + "vehicle: [car\n", ("s.yaml",)),
    "an expectation of something that is not measured": (GOOD + "expectations: {contcts: 0}\n", ("contcts",)),
}


def refused(capsys: pytest.CaptureFixture[str], out: Path, args: Sequence[str]) -> str:
    """The one line of a run that was refused; nothing of it is on disk."""
    before = sorted(out.parent.iterdir()) if out.parent.is_dir() else []
    assert fleet(["run", *args, "--out", str(out), "--quiet"]) == 2
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    assert stderr.startswith("fleet: error: ")
    assert stderr.count("\n") == 1
    assert len(stderr) < 800
    assert (sorted(out.parent.iterdir()) if out.parent.is_dir() else []) == before
    return stderr


@pytest.mark.parametrize("case", BAD_KEYS)
def test_a_scenario_with_a_mistake_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, case: str
) -> None:
    keys, said = BAD_KEYS[case]
    line = refused(capsys, tmp_path / "out", [str(write_scenario(tmp_path, keys))])
    for text in said:
        assert text in line


def test_the_scenario_that_the_mistakes_were_put_into_is_a_good_one(tmp_path: Path) -> None:
    assert drive(write_scenario(tmp_path, GOOD), tmp_path / "out").summary.status == 0


def test_a_vehicle_file_with_a_mistake_is_refused_with_its_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from hardware.vehicle import VEHICLES

    text = (VEHICLES / "car.yaml").read_text(encoding="utf-8")
    for wrong, said in (("width_m: -1.8", "-1.8"), ("width_m: .nan", "nan"), ("width_m: 1.8\n  colour: red", "colour")):
        (tmp_path / "mine.yaml").write_text(text.replace("width_m: 1.8\n", f"{wrong}\n"), encoding="utf-8")
        file = write_scenario(tmp_path, GOOD + "vehicle: mine.yaml\n")
        line = refused(capsys, tmp_path / "out", [str(file)])
        assert "mine.yaml" in line
        assert said in line


def test_a_missing_scenario_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name in ("nowhere.yaml", "nowhere.xml"):
        assert f"{name}: No such file" in refused(capsys, tmp_path / "out", [str(tmp_path / name)])


@needs_data
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_map_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, share: float) -> None:
    raw = (COMMONROAD / "ZAM_Tjunction-1_97_T-1.xml").read_bytes()
    file = tmp_path / "cut.xml"
    file.write_bytes(raw[: int(share * len(raw))])
    assert "not valid XML" in refused(capsys, tmp_path / "out", [str(file)])


def test_xml_that_is_no_map_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("commonroad")
    for text in ("<svg/>", '<commonRoad commonRoadVersion="2020a" timeStepSize="0.1" benchmarkID="X"/>'):
        file = tmp_path / "other.xml"
        file.write_text(text, encoding="utf-8")
        assert "other.xml" in refused(capsys, tmp_path / "out", [str(file)])


class _Absent:
    """An import hook that hides a package, as where it is not installed."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == self._package or name.startswith(f"{self._package}."):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def hide(monkeypatch: pytest.MonkeyPatch, package: str, *users: str) -> None:
    """Make ``package`` absent, and forget the modules of ours that have imported it."""
    for name in list(sys.modules):
        if name.split(".")[0] == package or name in users:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Absent(package), *sys.meta_path])


@needs_data
def test_without_the_extra_for_maps_the_line_says_how_to_get_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = [name for name in sys.modules if name.startswith("sim.maps.commonroad")]
    hide(monkeypatch, "commonroad", *ours)
    line = refused(capsys, tmp_path / "out", [str(COMMONROAD / "ZAM_Tjunction-1_97_T-1.xml"), "--world", "kinematic"])
    assert "accord-fleet[commonroad]" in line


def test_without_the_physics_library_the_line_names_the_other_world_which_works(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch, "pybullet", "sim.bullet_world")
    line = refused(capsys, tmp_path / "out", ["four_way"])
    assert "pip install pybullet" in line
    assert "--world kinematic" in line
    args = ["run", "four_way", "--world", "kinematic", "--quiet", "--no-mcap", "--out", str(tmp_path / "out")]
    assert fleet(args) == 0


def test_a_place_where_nothing_can_be_written_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    scenario = str(write_scenario(tmp_path, GOOD))
    assert "is a file" in refused(capsys, tmp_path / "file", [scenario])
    assert "cannot be written" in refused(capsys, tmp_path / "file" / "below", [scenario])
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


# --- the long ones


@soak
@needs_data
@pytest.mark.parametrize("vph", [300, 600])
def test_the_whole_common_workload(tmp_path: Path, vph: int) -> None:
    csv = DATA / "demand" / f"four_way_1lane_{vph}vph_seed1.csv"
    keys = f"map: {{builtin: four_way}}\ndemand: {{csv: {csv}}}\nworld: kinematic\nduration_s_max: 6000\n"
    file = write_scenario(tmp_path, keys + "network: {delay_ms: 20}\n")
    agreed = drive(file, tmp_path / "first_come")
    agreed.safe()
    stopping = drive(file, tmp_path / "all_way_stop", planner="all_way_stop")
    stopping.safe()
    assert agreed.metric("mean_delay_s") < 0.5 * stopping.metric("mean_delay_s")


@soak
@needs_data
def test_the_whole_common_workload_with_bursts_of_loss(tmp_path: Path) -> None:
    csv = DATA / "demand" / "four_way_1lane_300vph_seed1.csv"
    keys = f"map: {{builtin: four_way}}\ndemand: {{csv: {csv}}}\nworld: kinematic\nduration_s_max: 6000\n"
    drive(write_scenario(tmp_path, keys), tmp_path / "out", loss=0.3, burst=5.0, delay_ms=50.0).safe()


@soak
@pytest.mark.parametrize("seed", range(1, 11))
def test_ready_junctions_with_bursts_of_loss(tmp_path: Path, seed: int) -> None:
    for name in ("four_way", "t_junction", "merge", "roundabout"):
        drive(name, tmp_path / name, world="kinematic", seed=seed, loss=0.3, burst=5.0, delay_ms=50.0).safe()


@soak
@pytest.mark.parametrize("seed", range(1, 11))
def test_ready_junctions_without_radio(tmp_path: Path, seed: int) -> None:
    for name in ("four_way", "t_junction", "merge", "roundabout"):
        run = drive(name, tmp_path / name, world="kinematic", seed=seed, dead=True, duration_s=600.0)
        run.safe()
        assert max(map(len, inside_zones(run.out).values())) == 1


@soak
@pytest.mark.parametrize("seed", range(1, 21))
def test_runners_of_many_seeds(tmp_path: Path, seed: int) -> None:
    run = drive("four_way_runner", tmp_path / "out", world="kinematic", seed=seed)
    assert (run.metric("contacts_caused_by_honest"), run.metric("unfinished"), run.summary.status) == (0, 0, 0)


@soak
@needs_data
@needs("pybullet")
@needs("commonroad")
@pytest.mark.parametrize("name", sorted(path.stem for path in COMMONROAD.glob("*.xml")))
def test_recorded_fleets_with_bursts_of_loss(tmp_path: Path, name: str) -> None:
    changes = {"loss": 0.3, "burst": 5.0, "delay_ms": 50.0, "duration_s": 900.0}
    drive(COMMONROAD / f"{name}.xml", tmp_path / "out", **changes).safe()
