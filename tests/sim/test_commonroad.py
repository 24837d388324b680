"""CommonRoad files of both versions, whole and damaged, become lanelets and obstacles, or one clear line."""

from __future__ import annotations

import builtins
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fleet.errors import ConfigError
from sim.maps.commonroad import CommonRoadMap, load_commonroad
from tests.sim.commonroad_files import (
    RECTANGLE,
    bound,
    crossing_lanelets,
    document,
    exact,
    lanelet,
    moving,
    straight,
)

pytest.importorskip("commonroad", reason="the extra commonroad is not installed")

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "commonroad"
INTERSECTION = '<intersection id="900"><incoming id="901"><incomingLanelet ref="1"/></incoming></intersection>'
SIGN = (
    '<trafficSign id="500"><trafficSignElement><trafficSignID>274</trafficSignID>'
    "<additionalValue>8.5</additionalValue></trafficSignElement></trafficSign>"
)


def loaded(tmp_path: Path, text: str) -> CommonRoadMap:
    file = tmp_path / "scenario.xml"
    file.write_text(text)
    return load_commonroad(file)


@pytest.mark.parametrize("version", ["2018b", "2020a"])
@pytest.mark.parametrize("intersection", ["", INTERSECTION])
def test_both_versions_with_and_without_intersection_elements(tmp_path: Path, version: str, intersection: str) -> None:
    parts = [*crossing_lanelets(), moving(30, "car", -40.0, 0.2, 0.0, 8.0, version=version), intersection]
    cr_map = loaded(tmp_path, document(parts, version=version))
    assert sorted(cr_map.lanelets) == [1, 2, 3, 11, 12, 13, 21]
    assert cr_map.lanelets[11].successors == (12, 21) and cr_map.lanelets[3].predecessors == (2, 21)
    assert cr_map.scale == 1.0 and cr_map.skipped == ()
    (car,) = cr_map.obstacles
    assert (car.obstacle_id, car.kind, car.length_m, car.width_m) == (30, "car", 4.5, 1.8)
    assert car.t_s[-1] == pytest.approx(3.0) and car.x_m[-1] == pytest.approx(-16.0)
    assert car.speed_mps == pytest.approx(8.0)


def test_missing_links_are_inferred_from_geometry(tmp_path: Path) -> None:
    cr_map = loaded(tmp_path, document(crossing_lanelets(linked=False)))
    assert cr_map.lanelets[1].successors == (2,)
    assert cr_map.lanelets[11].successors == (12, 21)
    assert cr_map.lanelets[21].successors == (3,)
    assert cr_map.lanelets[3].successors == ()


def test_a_lane_that_begins_nearby_in_another_direction_is_no_successor(tmp_path: Path) -> None:
    parts = [
        lanelet(1, straight((-30.0, 0.0), (0.0, 0.0))),
        lanelet(2, straight((0.3, 0.0), (0.3, 30.0))),
        lanelet(3, straight((0.0, 2.0), (30.0, 2.0))),
    ]
    assert loaded(tmp_path, document(parts)).lanelets[1].successors == ()


def test_speed_limits_come_from_signs_and_from_2018b_elements(tmp_path: Path) -> None:
    line = straight((0.0, 0.0), (40.0, 0.0))
    parts = [lanelet(1, line, '<trafficSignRef ref="500"/>'), lanelet(2, line + [0.0, 4.0]), SIGN]
    cr_map = loaded(tmp_path, document(parts))
    assert cr_map.lanelets[1].limit_mps == 8.5
    assert cr_map.lanelets[2].limit_mps == pytest.approx(50.0 / 3.6)
    old = loaded(tmp_path, document([lanelet(1, line, "<speedLimit>22.0</speedLimit>")], version="2018b"))
    assert old.lanelets[1].limit_mps == 22.0


def test_neighbours_count_only_in_the_same_direction(tmp_path: Path) -> None:
    line = straight((0.0, 0.0), (40.0, 0.0))
    parts = [
        lanelet(1, line, '<adjacentLeft ref="2" drivingDir="same"/><adjacentRight ref="3" drivingDir="opposite"/>'),
        lanelet(2, line + [0.0, 3.5]),
        lanelet(3, line[::-1] - [0.0, 3.5]),
    ]
    cr_map = loaded(tmp_path, document(parts))
    assert (cr_map.lanelets[1].adjacent_left, cr_map.lanelets[1].adjacent_right) == (2, None)


def test_the_scale_of_a_model_track_is_seen_from_its_lanes(tmp_path: Path) -> None:
    track = loaded(tmp_path, document([lanelet(1, straight((0.0, 0.0), (4.0, 0.0)), width_m=0.15)]))
    assert track.scale == pytest.approx(0.05)
    assert track.lanelets[1].limit_mps == pytest.approx(50.0 / 3.6 * 0.05)


def test_uncertain_states_are_read_at_their_middle(tmp_path: Path) -> None:
    region = (
        "<position><rectangle><length>2</length><width>1</width><orientation>0</orientation>"
        "<center><x>-30</x><y>0.5</y></center></rectangle></position>"
    )
    between = "<intervalStart>4.0</intervalStart><intervalEnd>6.0</intervalEnd>"
    rest = f"{exact('orientation', 0.0)}{exact('time', 0)}<velocity>{between}</velocity>"
    start = f"<initialState>{region}{rest}</initialState>"
    text = f'<dynamicObstacle id="40"><type>taxi</type>{RECTANGLE}{start}</dynamicObstacle>'
    (taxi,) = loaded(tmp_path, document([*crossing_lanelets(), text])).obstacles
    assert (taxi.x_m[0], taxi.y_m[0], taxi.speed_mps[0], taxi.kind) == (-30.0, 0.5, 5.0, "taxi")


def test_a_missing_speed_and_heading_follow_from_the_motion(tmp_path: Path) -> None:
    at = [
        f"<{tag}><position><point><x>0.0</x><y>{-40.0 + k}</y></point></position>{exact('time', k)}</{tag}>"
        for k, tag in enumerate(["initialState", "state", "state"])
    ]
    body = f"<type>car</type>{RECTANGLE}{at[0]}<trajectory>{at[1]}{at[2]}</trajectory>"
    text = f'<dynamicObstacle id="41">{body}</dynamicObstacle>'
    (car,) = loaded(tmp_path, document([*crossing_lanelets(), text])).obstacles
    assert car.yaw_rad == pytest.approx(math.pi / 2) and car.speed_mps == pytest.approx(10.0)


def test_unknown_things_are_listed_and_do_not_stop_the_rest(tmp_path: Path) -> None:
    parts = [
        *crossing_lanelets(),
        '<lanelet id="77"><leftBound/><rightBound/></lanelet>',
        SIGN.replace("274", "no-such"),
        '<planningProblem id="600"><initialState/></planningProblem>',
        moving(30, "hovercraft", -40.0, 0.0, 0.0, 8.0),
        '<dynamicObstacle id="31"><type>car</type><shape><cone/></shape></dynamicObstacle>',
        '<phantomObstacle id="32"/>',
        '<environmentObstacle id="33"><type>building</type><shape><polygon><point><x>20</x><y>20</y></point>'
        "<point><x>30</x><y>20</y></point><point><x>30</x><y>30</y></point></polygon></shape></environmentObstacle>",
        '<staticObstacle id="34"><type>parkedVehicle</type><shape><circle><radius>1.0</radius></circle></shape>'
        "<initialState><position><point><x>-20</x><y>6</y></point></position></initialState></staticObstacle>",
    ]
    cr_map = loaded(tmp_path, document(parts))
    assert [label for label, _ in cr_map.skipped] == ["lanelet 77", "car 31", "unknown 32"]
    assert [one.kind for one in cr_map.obstacles] == ["hovercraft"]
    outlines = dict(cr_map.outlines)
    assert outlines[33].shape == (3, 2) and outlines[34].mean(axis=0) == pytest.approx([-20.0, 6.0])


def test_bounds_of_different_point_counts_are_paired(tmp_path: Path) -> None:
    left, right = straight((0.0, 1.5), (30.0, 1.5)), np.array([[0.0, -1.5], [30.0, -1.5]])
    text = f'<lanelet id="1">{bound("leftBound", left)}{bound("rightBound", right)}</lanelet>'
    assert loaded(tmp_path, document([text])).lanelets[1].center[:, 1] == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "not valid XML"),
        (document(crossing_lanelets())[:900], "not valid XML"),
        ("<osm version='0.6'/>", "root element is <osm>"),
        (document([]), "no lanelet"),
        (document(crossing_lanelets(), version="1999z"), "version '1999z' is not known"),
        (document(crossing_lanelets()).replace('timeStepSize="0.1"', 'timeStepSize="-1"'), "timeStepSize"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected) as caught:
        loaded(tmp_path, text)
    assert "\n" not in str(caught.value) and "scenario.xml" in str(caught.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_commonroad(tmp_path / "absent.xml")


def test_a_missing_extra_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("commonroad"):
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r'pip install "accord-fleet\[commonroad\]"'):
        loaded(tmp_path, document(crossing_lanelets()))


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the published CommonRoad files are not at {DATA}")
@pytest.mark.parametrize(
    ("name", "lanelets", "obstacles"),
    [
        ("DEU_Flensburg-10_1_T-1", 26, 27),
        ("FRA_Anglet-1_1_T-1", 20, 8),
        ("LabMapCommonRoad", 168, 0),
        ("USA_Lanker-1_3_T-1", 95, 36),
        ("USA_Peach-4_8_T-1", 79, 9),
        ("ZAM_Tjunction-1_97_T-1", 12, 5),
    ],
)
def test_published_files(name: str, lanelets: int, obstacles: int) -> None:
    cr_map = load_commonroad(DATA / f"{name}.xml")
    assert (len(cr_map.lanelets), len(cr_map.obstacles), cr_map.skipped) == (lanelets, obstacles, ())
