"""Scenario files: what is read, what is refused and in which words, and what the command line may change."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from fleet.errors import ConfigError
from sim.maps import BUILTIN_MAPS
from sim.scenario import (
    CountDemand,
    Overrides,
    Scenario,
    load_scenario,
    override,
    scenario_names,
)

GOOD = "name: s\nmap: {builtin: four_way}\ndemand: {count: 8}\n"
XML = '<commonRoad commonRoadVersion="2020a"><lanelet id="1"/>%s</commonRoad>'


def write(folder: Path, text: str, name: str = "s.yaml") -> str:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return str(file)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_scenario(write(folder, text))
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(folder), "")


def test_every_built_in_map_is_a_ready_scenario_with_eight_vehicles() -> None:
    assert set(BUILTIN_MAPS) <= set(scenario_names())
    for name in BUILTIN_MAPS:
        scenario = load_scenario(name)
        assert (scenario.name, scenario.map.builtin, scenario.demand.count) == (name, name, 8)


@pytest.mark.parametrize("name", scenario_names())
def test_ready_scenarios_are_named_as_their_files_and_described(name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.name == name
    assert len(scenario.description) > 20
    assert scenario.expectations["finished"] == "all"
    assert len(scenario.source_sha256) == 64


def test_left_out_keys_have_their_defaults(tmp_path: Path) -> None:
    scenario = load_scenario(write(tmp_path, GOOD))
    assert (scenario.vehicle, scenario.world, scenario.planner, scenario.seed) == ("car", "bullet", "first_come", 1)
    assert scenario.expectations == {"contacts": 0, "finished": "all"}
    assert scenario.network.loss == 0.0
    assert scenario.map.parameters() == {}


def test_a_full_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path, "arrival_s,approach,movement\n1.0,N,left\n", "sub/rows.csv")
    text = """
name: full
description: All keys.
map: {builtin: four_way, arm_m: 120, lane_width_m: 3.25, speed_limit_mps: 8, lanes: 2}
demand: {csv: sub/rows.csv}
vehicle: bus
world: kinematic
planner: all_way_stop
mechanism: first_come
network: {delay_ms: 20, jitter_ms: 5, loss: 0.1, burst_mean: 3, range_m: 200, duplicate: 0.1, dead: [v001]}
legacy: [{vehicle: v000, yields: false}, {share: 0.1}]
obstacles: [[[0, 0], [1, 0], [1, 1]]]
seed: 7
duration_s_max: 60
control: {period_s: 0.02, log_period_s: 0.02}
expectations: {contacts: 0, mean_delay_s_max: 5.5}
"""
    scenario = load_scenario(write(tmp_path, text))
    assert scenario.demand.csv == str((tmp_path / "sub" / "rows.csv").resolve())
    assert scenario.map.parameters() == {"arm_m": 120.0, "lane_width_m": 3.25, "speed_limit_mps": 8.0, "lanes": 2}
    assert scenario.network.dead == ("v001",)
    assert scenario.legacy[0].yields is False
    assert scenario.obstacles == (((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "colour: red\n", "s.yaml:4: colour: unknown key"),
        (GOOD + "network:\n  delay_ms: 1\n  los: 0.1\n", "s.yaml:6: network.los: unknown key"),
        (
            GOOD.replace("four_way}", "four_way, lane_width_m: -3.5}"),
            "s.yaml:2: map.lane_width_m: Expected `float` > 0.0",
        ),
        (GOOD + "duration_s_max: .nan\n", "s.yaml:4: duration_s_max: nan is not a finite number"),
        (GOOD + "duration_s_max: .inf\n", "s.yaml:4: duration_s_max: inf is not a finite number"),
        (GOOD + "seed: -1\n", "s.yaml:4: seed: Expected `int` >= 0 (it is -1)"),
        (GOOD + "seed: one\n", "s.yaml:4: seed: Expected `int`, got `str`"),
        (GOOD + "network: {loss: 1.5}\n", "s.yaml:4: network.loss: Expected `float` <= 1.0 (it is 1.5)"),
        (GOOD.replace("name: s\n", ""), "Object missing required field `name`"),
        ("name: s\nmap: [\n", "not valid YAML"),
        (GOOD + "world: bulet\n", "world: unknown name 'bulet'; known: bullet, kinematic; did you mean bullet?"),
        (GOOD + "planner: psychic\n", "planner: unknown name 'psychic'; known: first_come, tile_reservation"),
        (GOOD.replace("four_way", "four_wa"), "map.builtin: unknown name 'four_wa'; known: four_way, "),
        (
            GOOD.replace("four_way}", "four_way, ring_m: 20}"),
            "map.ring_m: map four_way has no such parameter; it has arm_m, ",
        ),
        (GOOD.replace("{builtin: four_way}", "{}"), "map: give one of builtin, commonroad, site (there is none)"),
        (GOOD.replace("four_way}", "four_way, commonroad: a.xml}"), "(there is builtin and commonroad)"),
        (GOOD.replace("{builtin: four_way}", "{commonroad: nope.xml}"), "map.commonroad: nope.xml: No such file"),
        (
            GOOD.replace("{count: 8}", "{}"),
            "demand: give exactly one of poisson, csv, count, vehicles, recorded, tasks (there is none)",
        ),
        (GOOD.replace("{count: 8}", "{count: 8, recorded: true}"), "(there is count, recorded)"),
        (GOOD.replace("{count: 8}", "{count: 0}"), "demand.count: 0 is not in 1..10000"),
        (GOOD.replace("{count: 8}", "{csv: nope.csv}"), "demand.csv: nope.csv: No such file"),
        (GOOD.replace("{count: 8}", "{recorded: true}"), "only a CommonRoad map has recorded vehicles"),
        (
            GOOD.replace("{count: 8}", "{poisson: {vph: 300, until_s: 60, turning: {left: 0.9}}}"),
            "demand.poisson.turning: shares add up to 1.65, not to 1",
        ),
        (GOOD.replace("{count: 8}", "{vehicles: []}"), "demand.vehicles: the list is empty"),
        (
            GOOD.replace("{count: 8}", "{vehicles: [{id: a}]}"),
            "demand.vehicles[0]: a needs approach and movement, or path",
        ),
        (
            GOOD.replace("{count: 8}", "{vehicles: [{id: a, path: N_left}, {id: a, path: S_left}]}"),
            "demand.vehicles[1].id: 'a' is used twice",
        ),
        (
            GOOD.replace("{count: 8}", "{vehicles: [{id: a b, path: N_left}]}"),
            "demand.vehicles[0].id: Expected `str` matching",
        ),
        (
            GOOD.replace("{count: 8}", "{vehicles: [{id: a, path: N_left, role: boss}]}"),
            "demand.vehicles[0]: role: unknown name 'boss'; known: honest, legacy",
        ),
        (
            GOOD.replace("{count: 8}", "{vehicles: [{id: a, path: N_left, yields: false}]}"),
            "only a legacy vehicle may run",
        ),
        (GOOD + "legacy: [{yields: false}]\n", "legacy[0]: give vehicle or share, exactly one"),
        (GOOD + "attackers: [{kind: liar}]\n", "attackers[0].kind"),
        (GOOD + "attackers: [{kind: overbidder}]\n", "attackers[0]: give vehicle or share, exactly one"),
        (GOOD + "urgency: [{share: 0.1, vehicle: v001}]\n", "urgency[0]: give vehicle or share, exactly one"),
        (GOOD + "obstacles: [[[0, 0], [1, 1]]]\n", "obstacles[0]: a polygon needs at least 3 corners; this one has 2"),
        (GOOD + "obstacles: [[[0, 0], [2, 0], [0.5, 0.5], [0, 2]]]\n", "obstacles[0]: the polygon is not convex"),
        (
            GOOD + "obstacles: [[[0, 0], [1, 0], [2, 0]]]\n",
            "obstacles[0]: the polygon is not convex (or has corners in a line)",
        ),
        (GOOD + "expectations: {contact: 0}\n", "expectations.contact: no such metric; nearest: contacts, "),
        (GOOD + "expectations: {finished: most}\n", "expectations.finished: 'most' is neither a number nor all"),
        (GOOD + "vehicle: mine.yaml\n", "vehicle: mine.yaml: No such file"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    assert message in refusal(tmp_path, text)


def test_stars_and_both_windings_are_told_apart(tmp_path: Path) -> None:
    """A pentagram turns the same way at every corner, yet is not convex; clockwise squares are."""
    load_scenario(write(tmp_path, GOOD + "obstacles: [[[0, 0], [0, 1], [1, 1], [1, 0]]]\n"))
    star = "[[0, 3], [2, -3], [-3, 1], [3, 1], [-2, -3]]"
    assert "not convex" in refusal(tmp_path, GOOD + f"obstacles: [{star}]\n")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("four_wy", "no scenario named 'four_wy'; known: blocked_lane, corridor3, "),
        ("four_wy", "did you mean four_way?"),
        ("nope.yaml", "nope.yaml: No such file"),
        ("nope.xml", "nope.xml: No such file"),
        ("run.txt", "no scenario named 'run.txt'"),
    ],
)
def test_an_unknown_name_is_refused_with_the_known_ones(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_scenario(name)
    assert message in str(caught.value)


def test_a_folder_is_not_a_scenario(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").mkdir()
    with pytest.raises(ConfigError, match="is a folder, not a scenario"):
        load_scenario(str(tmp_path / "x.yaml"))


@pytest.mark.parametrize(
    ("moving", "recorded"),
    [
        ('<dynamicObstacle id="2"/>', True),
        ('<obstacle id="2"><role>dynamic</role></obstacle>', True),
        ('<obstacle id="2"><role>static</role></obstacle>', False),
        ('<staticObstacle id="2"/>', False),
    ],
)
def test_a_commonroad_file_is_a_scenario_of_its_recorded_vehicles_or_of_eight(
    tmp_path: Path, moving: str, recorded: bool
) -> None:
    scenario = load_scenario(write(tmp_path, XML % moving, "DEU_A b-1.xml"))
    assert scenario.name == "DEU_A_b-1"
    assert (scenario.demand.recorded, scenario.demand.count) == ((True, None) if recorded else (None, 8))
    assert scenario.map.commonroad == str((tmp_path / "DEU_A b-1.xml").resolve())


def test_the_published_files_are_told_apart(shared_data: Path) -> None:
    folder = shared_data / "commonroad"
    kinds = {file.stem: load_scenario(str(file)).demand.kind() for file in sorted(folder.glob("*.xml"))}
    assert kinds.pop("LabMapCommonRoad") == "count"
    assert set(kinds.values()) == {"recorded"}


def test_truncated_xml_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cut.xml:1: not valid XML \(no element found.*is the file complete\?"):
        load_scenario(write(tmp_path, (XML % "")[:-13], "cut.xml"))
    inside = GOOD.replace("{builtin: four_way}", "{commonroad: cut.xml}")
    assert "cut.xml:1: not valid XML" in refusal(tmp_path, inside)


def test_overrides_replace_and_are_checked() -> None:
    base = load_scenario("four_way")
    changed = override(base, Overrides(seed=9, world="kinematic", loss=0.3, burst=5.0, delay_ms=50.0, duration_s=12.0))
    assert (changed.seed, changed.world, changed.duration_s_max) == (9, "kinematic", 12.0)
    assert (changed.network.loss, changed.network.burst_mean, changed.network.delay_ms) == (0.3, 5.0, 50.0)
    assert changed.demand == base.demand
    assert override(base, Overrides()) == base
    assert override(base, Overrides(dead=True)).network.dead is True


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (Overrides(loss=1.5), "--loss 1.5: Expected `float` <= 1.0"),
        (Overrides(loss=float("nan")), "--loss nan"),
        (Overrides(delay_ms=float("inf")), "--delay-ms inf"),
        (Overrides(duration_s=0.0), "--duration 0.0: Expected `float` > 0.0"),
        (Overrides(seed=-1), "--seed -1: Expected `int` >= 0"),
        (
            Overrides(world="bulet"),
            "--world: world: unknown name 'bulet'; known: bullet, kinematic; did you mean bullet?",
        ),
        (Overrides(planner="magic"), "--planner: planner: unknown name 'magic'"),
    ],
)
def test_bad_overrides_are_refused_by_the_name_of_the_option(overrides: Overrides, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        override(load_scenario("four_way"), overrides)
    assert message in str(caught.value)


def test_records_survive_a_round_trip() -> None:
    scenario = load_scenario("four_way_300vph")
    assert msgspec.convert(msgspec.to_builtins(scenario), Scenario) == scenario


def test_count_may_be_a_record(tmp_path: Path) -> None:
    scenario = load_scenario(write(tmp_path, GOOD.replace("{count: 8}", "{count: {vehicles: 12, headway_s: 2}}")))
    assert scenario.demand.count == CountDemand(vehicles=12, headway_s=2.0)
