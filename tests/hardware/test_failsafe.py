"""The failsafe table: consistent data, the page made from it, and every trigger in every phase on real nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.protocol.records import Tuning
from hardware import monitor
from hardware.failsafe import TABLE, Action, Effect, Latch, Phase, markdown, row_of, worst
from hardware.guard import Guard
from hardware.vehicle import load_vehicle
from hardware.watchdog import LOOP_STALL_S
from sim.hil.trials import recovery, trial
from sim.hil.yard import MockYard

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "failsafe.md"
CAR = load_vehicle("car")
FIRST = [row.causes[0] for row in TABLE]
ALL = [cause for row in TABLE for cause in row.causes]
HALTING = [cause for row in TABLE if row.effects[0] is Effect.HALT for cause in row.causes if cause != "node_died"]


def test_the_page_is_that_of_the_table() -> None:
    assert markdown() in PAGE.read_text(encoding="utf-8")


def test_the_table_is_consistent() -> None:
    assert len(set(ALL)) == len(ALL)
    for row in TABLE:
        assert len(row.effects) == len(Phase)
        assert row.detect_s is None or 0.0 < row.detect_s <= 1.0
        if row.action is Action.EMERGENCY:
            assert row.latch is Latch.OPERATOR, f"{row.title}: full braking that ends by itself"
    assert row_of("loop_stall").detect_s == LOOP_STALL_S
    assert Tuning().eps_ms * 1e-3 == monitor.CLOCK_ERROR_S_MAX


def test_the_most_severe_action_wins() -> None:
    assert worst(()) is Action.CONTINUE
    assert worst(("clock", "battery")) is Action.COMFORT_STOP
    assert worst(("battery", "localisation_nan")) is Action.STOP_IN_LANE
    assert worst(("localisation_nan", "estop", "clock")) is Action.EMERGENCY
    assert sorted(Action) == list(Action)


@pytest.mark.parametrize("phase", list(Phase), ids=[phase.name for phase in Phase])
@pytest.mark.parametrize("cause", FIRST)
def test_every_row_in_every_phase(cause: str, phase: Phase) -> None:
    found = trial(cause, phase, CAR, MockYard)
    assert found is not None and found.reached
    assert found.effect == ""


@pytest.mark.soak
@pytest.mark.parametrize("name", ["car", "bus", "model_car_1_18"])
@pytest.mark.parametrize("phase", list(Phase), ids=[phase.name for phase in Phase])
@pytest.mark.parametrize("cause", ALL)
def test_every_cause_in_every_phase_for_every_size(cause: str, phase: Phase, name: str) -> None:
    found = trial(cause, phase, load_vehicle(name), MockYard)
    assert found is not None and found.reached
    assert found.effect == ""


@pytest.mark.parametrize("cause", HALTING)
def test_what_ends_a_stop_ends_it_and_nothing_else(cause: str) -> None:
    assert recovery(cause, CAR, MockYard) == ""


@pytest.mark.parametrize("cause", ["steer_mismatch", "battery", "supervisor_lost", "localisation_jump"])
def test_canary_without_the_monitor_the_matrix_fails(monkeypatch: pytest.MonkeyPatch, cause: str) -> None:
    calm = monitor.Decision(Action.CONTINUE, (), True, monitor.Health.OK)
    monkeypatch.setattr(monitor.Monitor, "step", lambda self, seen: calm)
    found = trial(cause, Phase.IDLE, CAR, MockYard)
    assert found is not None and found.effect != ""


@pytest.mark.parametrize("cause", ["clock", "battery"])
def test_canary_a_node_that_is_not_told_fails_the_matrix(monkeypatch: pytest.MonkeyPatch, cause: str) -> None:
    monkeypatch.setattr(Guard, "clock_error_ms", lambda self, now_ms: 0)
    monkeypatch.setattr(Guard, "_shape", lambda self, command: command)
    found = trial(cause, Phase.COMMITTED, CAR, MockYard)
    assert found is not None and found.effect != ""
