"""The demand bench: same arrivals for all, figures by the metrics' definitions, early ends marked."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.cli.main import run as fleet
from fleet.errors import ConfigError
from sim.peer_sumo import Trip
from sim.plan_bench_demand import PLANNERS, Figures, Row, Workload, _flow_vph, _of_trips, _table, measure, plot, table
from sim.scenario_checks import PLANNERS as KNOWN

FIGURES = Figures(10, 10, 2.0, 4.0, 6.0, 1.0, 0.99, 1200.0, 1100.0, 0)


def test_every_planner_of_the_table_exists() -> None:
    left_out = set(KNOWN) - set(PLANNERS)
    assert left_out == {"first_come+refine", "welfare+refine"}, "the same orders, and so the same delays, as without"


def test_arrivals_are_drawn_once_per_seed_or_taken_from_the_folder(tmp_path: Path) -> None:
    work = Workload((300,), (1, 2), until_s=60.0)
    first, again, other = (_table(work, 300, seed, tmp_path).read_text() for seed in (1, 1, 2))
    assert first == again != other
    header, *rows = first.splitlines()
    assert header == "arrival_s,approach,movement" and len(rows) > 8
    given = Workload((300,), (1,), tables=tmp_path)
    with pytest.raises(ConfigError, match=r"four_way_1lane_300vph_seed1\.csv: no such table"):
        measure(given, ("first_come",), None, str)
    (tmp_path / "four_way_1lane_300vph_seed1.csv").write_text(first, encoding="utf-8")
    assert _table(given, 300, 1, tmp_path).read_text() == first


def test_a_run_gives_a_row_and_one_that_is_cut_off_is_marked() -> None:
    said: list[str] = []
    work = Workload((300,), (1,), until_s=20.0)
    (row,) = measure(work, ("tile_reservation",), None, said.append)
    assert row.complete and row.runs[0].contacts == 0 and 0.0 <= row.mean("mean_delay_s") < 5.0
    assert said == [f"tile_reservation, 300 veh/h: mean delay {row.mean('mean_delay_s'):.2f} s"]
    (cut,) = measure(replace(work, duration_s_max=15.0), ("first_come",), None, said.append)
    assert not cut.complete and math.isnan(cut.mean("mean_delay_s"))
    assert " * |" in table([row, cut]) and "stopped with vehicles still on their way" in table([row, cut])
    assert "*" not in table([row])


def test_a_run_is_the_same_in_a_process_of_its_own_and_flows_count_who_left_in_time() -> None:
    work = Workload((300,), (1, 2), until_s=12.0)
    alone, shared = (measure(replace(work, workers=n), ("first_come",), None, lambda line: None) for n in (1, 2))
    assert [replace(one, flow_vph=0.0) for one in alone[0].runs] == [
        replace(one, flow_vph=0.0) for one in shared[0].runs
    ]
    assert _flow_vph([100.0, 151.0, 200.0, 450.0, 451.0], 450.0) == pytest.approx(3 * 3600.0 / 300.0)


def test_peers_are_measured_by_the_same_definitions() -> None:
    trips = [Trip("N", 0.0, 30.0, 1.0, 0.0), Trip("E", 0.0, 40.0, 3.0, 2.5), Trip("N", 10.0, 36.0, 1.0, 0.0)]
    found = _of_trips(trips)
    assert (found.vehicles, found.finished, found.delay_s_max, found.wait_s_max) == (3, 3, 3.0, 2.5)
    assert found.mean_delay_s == pytest.approx(5.0 / 3.0)
    assert found.jain == pytest.approx(16.0 / (2.0 * 10.0))
    assert found.throughput_vph == pytest.approx(3600.0 * 3.0 / 40.0)


def test_the_plot_shows_every_planner_and_where_runs_were_cut(tmp_path: Path) -> None:
    rows = [Row(name, vph, (FIGURES,)) for name in ("first_come", "SUMO actuated signal, AV") for vph in (300, 600)]
    plot([*rows, Row("reactive", 300, (replace(FIGURES, finished=3),))], tmp_path / "pictures" / "d.png")
    assert (tmp_path / "pictures" / "d.png").read_bytes()[:4] == b"\x89PNG"


def test_the_command_writes_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "demand").mkdir()
    rows = "arrival_s,approach,movement\n0.0,N,straight\n1.0,E,left\n"
    (tmp_path / "demand" / "four_way_1lane_60vph_seed1.csv").write_text(rows, encoding="utf-8")
    words = [
        "--data",
        str(tmp_path),
        "--vph",
        "60",
        "--seeds",
        "1",
        "--planner",
        "first_come",
        "--out",
        str(tmp_path / "o"),
    ]
    assert fleet(["bench", "planning", "--section", "demand", *words]) == 0
    shown = capsys.readouterr().out
    assert "| first_come | 60 |" in shown
    assert shown.split("\n\n", 1)[1].strip() in (tmp_path / "o" / "planning.md").read_text(encoding="utf-8")
    assert (tmp_path / "o" / "delay_against_demand.png").is_file()
