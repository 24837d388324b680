"""Demand: tables, Poisson arrivals, counts, explicit vehicles, and who has no radio."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fleet.errors import ConfigError
from sim.demand import Arrival, arrivals, fitting_vehicle, from_csv, lane_count, poisson
from sim.maps import MapSource, build
from sim.scenario import PoissonDemand, Scenario, Turning, load_scenario


@pytest.fixture(scope="module")
def four_way() -> MapSource:
    return build("four_way")


def scenario(tmp_path: Path, demand: str, more: str = "") -> Scenario:
    file = tmp_path / "s.yaml"
    file.write_text(f"name: s\nmap: {{builtin: four_way}}\ndemand: {demand}\n{more}", encoding="utf-8")
    return load_scenario(str(file))


def table(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "t.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_published_table_is_read_as_it_stands(shared_data: Path, four_way: MapSource) -> None:
    file = shared_data / "demand" / "four_way_1lane_300vph_seed1.csv"
    found = from_csv(file, four_way, "car")
    rows = [line.split(",") for line in file.read_text().split()[1:]]
    assert len(found) == len(rows)
    assert [(f"{one.arrival_s:.2f}", one.path_id) for one in found] == [
        (f"{float(at):.2f}", f"{approach}_{movement}") for at, approach, movement in rows
    ]
    assert len({one.vehicle_id for one in found}) == len(found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,approach,movement\n", ":1: the header must be arrival_s,approach,movement"),
        ("", ":1: the header must be"),
        ("arrival_s,approach,movement\n1.0,N\n", ":2: 2 fields where 3 are needed"),
        ("arrival_s,approach,movement\n1.0,N,left\nnan,N,left\n", ":3: arrival_s: 'nan' is not a finite number"),
        ("arrival_s,approach,movement\n-1,N,left\n", ":2: arrival_s: '-1' is not a finite number of seconds >= 0"),
        ("arrival_s,approach,movement\n1.0,X,left\n", ":2: no approach 'X'; known: E, N, S, W"),
        (
            "arrival_s,approach,movement\n1.0,N,up\n",
            ":2: no path goes 'up' from approach 'N'; from there: left, right, straight",
        ),
    ],
)
def test_a_broken_table_is_refused_with_its_line(tmp_path: Path, four_way: MapSource, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_csv(table(tmp_path, text), four_way, "car")
    assert message in str(caught.value)


def test_poisson_arrivals_have_rate_shares_and_exponential_gaps(four_way: MapSource) -> None:
    found = poisson(PoissonDemand(vph=600.0, until_s=36_000.0), four_way, "car", 3)
    assert len(found) == pytest.approx(4 * 6000, rel=0.03)
    movements = Counter(one.path_id.split("_")[1] for one in found)
    assert movements["straight"] / len(found) == pytest.approx(0.5, abs=0.01)
    assert movements["left"] / len(found) == pytest.approx(0.25, abs=0.01)
    gaps = np.diff([one.arrival_s for one in found if one.path_id.startswith("N_")])
    assert np.mean(gaps) == pytest.approx(6.0, rel=0.05)
    assert np.std(gaps) == pytest.approx(6.0, rel=0.05)


def test_one_approach_does_not_change_the_arrivals_of_another(four_way: MapSource) -> None:
    spec = PoissonDemand(vph=300.0, until_s=600.0)
    only_north = MapSource("n", four_way.paths, (), {"N": four_way.origins["N"]})
    north = [(one.arrival_s, one.path_id) for one in poisson(spec, four_way, "car", 5) if one.path_id.startswith("N_")]
    assert [(one.arrival_s, one.path_id) for one in poisson(spec, only_north, "car", 5)] == north
    assert len(north) > 30


def test_rates_are_per_lane() -> None:
    wide = build("four_way_3lane")
    assert [lane_count(wide, approach) for approach in "NESW"] == [3, 3, 3, 3]
    found = poisson(PoissonDemand(vph=300.0, until_s=7200.0), wide, "car", 1)
    assert len(found) == pytest.approx(300 * 3 * 4 * 2, rel=0.05)


def test_movements_that_an_approach_lacks_are_left_out() -> None:
    junction = build("t_junction")
    spec = PoissonDemand(vph=900.0, until_s=36_000.0, turning=Turning(left=0.2, straight=0.6, right=0.2))
    found = poisson(spec, junction, "car", 1)
    assert {one.path_id for one in found} == {path.path_id for path in junction.paths}
    south = Counter(one.path_id for one in found if one.path_id.startswith("S_"))
    assert south["S_left"] / sum(south.values()) == pytest.approx(0.5, abs=0.02)
    with pytest.raises(ConfigError, match="approach 'S' offers left, right, all with share 0"):
        poisson(
            PoissonDemand(vph=900.0, until_s=60.0, turning=Turning(left=0, straight=1, right=0)), junction, "car", 1
        )


@pytest.mark.parametrize("name", ["four_way", "four_way_3lane", "t_junction", "merge", "roundabout"])
def test_each_ready_map_scenario_brings_eight_vehicles_from_all_approaches(name: str) -> None:
    ready = load_scenario(name)
    roads = build(name, **ready.map.parameters())
    found = arrivals(ready, roads)
    assert len(found) == 8
    by_id = {path.path_id: path for path in roads.paths}
    assert {by_id[one.path_id].origin for one in found} == set(roads.origins)
    for origin in roads.origins:
        times = [one.arrival_s for one in found if by_id[one.path_id].origin == origin]
        assert np.all(np.diff(times) >= 2.0)
    assert found == arrivals(ready, roads)


def test_another_seed_brings_other_vehicles(tmp_path: Path, four_way: MapSource) -> None:
    assert arrivals(scenario(tmp_path, "{count: 8}", "seed: 1"), four_way) != arrivals(
        scenario(tmp_path, "{count: 8}", "seed: 2"), four_way
    )


def test_explicit_vehicles_come_as_written(tmp_path: Path, four_way: MapSource) -> None:
    text = (
        "{vehicles: [{id: b, approach: E, movement: left, arrival_s: 2, vehicle: bus},"
        " {id: a, path: N_right, start_s_m: 10, speed_mps: 5, role: legacy, yields: false}]}"
    )
    found = arrivals(scenario(tmp_path, text), four_way)
    assert found == (
        Arrival("a", "N_right", 0.0, 5.0, "car", "legacy", False, 10.0),
        Arrival("b", "E_left", 2.0, None, "bus", "honest", True, None),
    )


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{id: a, approach: N, movement: u_turn}", "demand.vehicles[0]: no path goes 'u_turn' from approach 'N'"),
        ("{id: a, path: N_lef}", "demand.vehicles[0].path: no path 'N_lef'; did you mean N_left?"),
        ("{id: a, path: N_left, start_s_m: 9000}", "start_s_m: 9000 m is beyond the path's end at"),
    ],
)
def test_a_way_that_does_not_exist_is_refused(tmp_path: Path, four_way: MapSource, entry: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        arrivals(scenario(tmp_path, f"{{vehicles: [{entry}]}}"), four_way)
    assert message in str(caught.value)


def test_legacy_vehicles_by_id_and_by_share(tmp_path: Path, four_way: MapSource) -> None:
    named = arrivals(scenario(tmp_path, "{count: 8}", "legacy: [{vehicle: v003, yields: false}]"), four_way)
    assert [(one.vehicle_id, one.yields) for one in named if one.role == "legacy"] == [("v003", False)]
    some = arrivals(scenario(tmp_path, "{count: 2000}", "legacy: [{share: 0.3}]"), four_way)
    share = np.mean([one.role == "legacy" for one in some])
    assert share == pytest.approx(0.3, abs=0.04)
    with pytest.raises(ConfigError, match=r"legacy\[0\].vehicle: no vehicle 'v03'; did you mean v003\?"):
        arrivals(scenario(tmp_path, "{count: 8}", "legacy: [{vehicle: v03}]"), four_way)


def test_a_demand_that_brings_nobody_is_refused(tmp_path: Path, four_way: MapSource) -> None:
    with pytest.raises(ConfigError, match=r"demand\.poisson: nobody comes"):
        arrivals(scenario(tmp_path, "{poisson: {vph: 0.001, until_s: 1}}"), four_way)


def test_the_fitting_car_has_the_scale_of_the_map(four_way: MapSource) -> None:
    assert fitting_vehicle(four_way) == "car"
    assert fitting_vehicle(build("four_way", arm_m=12.0, lane_width_m=0.15)) == "model_car_1_18"
    with pytest.raises(ConfigError, match=r"no car that ships fits lanes of 0.05 m"):
        fitting_vehicle(build("four_way", arm_m=5.0, lane_width_m=0.05))
