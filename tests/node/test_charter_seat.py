"""Fleets with different charters: they meet in what they have in common, or cross by sight; new ones come in safely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from fleet.charter.model import Charter, default_charter
from fleet.node.charter_seat import HEARD_MS, RETURN_MS, STALE_MS, STRANGE_MS, CharterSeat
from fleet.protocol.table import Phase
from tests.node.scenes import Fleet
from tests.node.test_driver import START, out, run, until

BASE = default_charter()


def child(name: str, parent: Charter = BASE, **changes: object) -> Charter:
    return replace(BASE, name=name, parent=parent.charter_id().hex(), **changes)  # type: ignore[arg-type]


NORTH, SOUTH = child("north"), child("south", weights_milli={"delay": 500, "stops": 500})
NEXT = child("next", NORTH)
STRANGER = replace(BASE, name="stranger")


class Heard:
    """What a seat needs of an intent."""

    def __init__(self, charter: Charter, stamp_ms: int, phase: Phase = Phase.APPROACH) -> None:
        self.charter_id, self.stamp_ms, self.phase = charter.charter_id(), stamp_ms, phase


class Voice:
    """A seat alone, told each 50 ms what others say."""

    def __init__(self, *line: Charter) -> None:
        self.notes: list[tuple[int, str, str]] = []
        self.seat = CharterSeat("a", line, lambda ms, kind, d: self.notes.append((ms, kind, str(d.get("state")))))
        self.now_ms = 0

    def listen(self, ms: int, *others: Charter, phase: Phase = Phase.APPROACH, **flags: bool) -> Charter:
        state = {"free": True, "standing": False, **flags}
        for _ in range(0, ms, 50):
            self.now_ms += 50
            said = {f"b{k}": Heard(one, self.now_ms, phase) for k, one in enumerate(others)}
            self.seat.tick(self.now_ms, said, **state)  # type: ignore[arg-type]
        return self.seat.charter


def test_among_its_own_a_vehicle_speaks_its_own_charter() -> None:
    assert Voice(NEXT, NORTH, BASE).listen(5000, NEXT, NEXT) is NEXT


def test_a_newer_charter_meets_an_older_one_of_its_line_at_once() -> None:
    voice = Voice(NEXT, NORTH, BASE)
    voice.listen(STALE_MS + 40, NEXT)
    assert voice.listen(50, NORTH) is NORTH


def test_two_branches_meet_at_the_first_of_their_line_and_stay_one() -> None:
    north, south = Voice(NORTH, BASE), Voice(SOUTH, BASE)
    spoken: tuple[Charter, Charter] = (NORTH, SOUTH)
    for _ in range(0, 1500, 50):
        spoken = (north.listen(50, spoken[1]), south.listen(50, spoken[0]))
    assert spoken == (BASE, BASE)
    assert not north.seat.unsettled


def test_while_it_is_open_whether_there_is_a_common_charter_nothing_is_agreed_on() -> None:
    voice = Voice(NORTH, BASE)
    voice.listen(STALE_MS + 40, NORTH)
    voice.listen(50, SOUTH)
    assert voice.seat.unsettled
    assert not voice.seat.unknown


def test_a_strange_charter_ends_in_the_own_one_an_escalation_and_no_agreement() -> None:
    voice = Voice(NORTH, BASE)
    assert voice.listen(HEARD_MS + 200, STRANGER) is BASE
    assert voice.listen(STRANGE_MS, STRANGER) is NORTH
    assert voice.seat.unknown
    assert [kind for _, kind, _ in voice.notes].count("escalation") == 1
    voice.listen(3 * RETURN_MS, STRANGER)
    assert [kind for _, kind, _ in voice.notes].count("escalation") == 1
    voice.listen(50)
    assert not voice.seat.unsettled


def test_who_has_agreed_already_finishes_and_changes_nothing() -> None:
    voice = Voice(NORTH, BASE)
    assert voice.listen(5000, SOUTH, free=False) is NORTH
    for phase in (Phase.COMMITTED, Phase.CROSSING, Phase.CLEARED):
        assert voice.listen(5000, SOUTH, phase=phase) is NORTH
    assert not voice.seat.unsettled


def test_after_a_while_and_at_a_new_zone_the_own_charter_is_tried_again() -> None:
    voice = Voice(NORTH, BASE)
    assert voice.listen(1000, SOUTH) is BASE
    assert voice.listen(RETURN_MS, BASE) is BASE  # the others still speak the base: back at once
    assert ("charter", "return") in [(kind, state) for _, kind, state in voice.notes]
    voice.seat.new_zone(voice.now_ms)
    assert voice.seat.charter is NORTH


@pytest.mark.parametrize("blocked", [{"free": False, "standing": True}, {"standing": False}])
def test_a_new_charter_waits_for_a_safe_standstill(blocked: dict[str, bool]) -> None:
    voice = Voice(NORTH, BASE)
    voice.seat.order((NEXT, NORTH, BASE), "rollout")
    assert voice.listen(3000, **blocked) is NORTH
    assert voice.listen(50, standing=True) is NEXT
    voice.seat.order((NORTH, BASE), "rollback")
    assert voice.listen(50, standing=True) is NORTH
    assert [state for _, _, state in voice.notes] == ["rollout", "rollback"]


# --- whole nodes


def kinds(fleet: Fleet, kind: str) -> list[tuple[int, str, dict[str, object]]]:
    return [(ms, name, detail) for ms, name, what, detail in fleet.notes if what == kind]


def crossing(lines: dict[str, Sequence[Charter]]) -> Fleet:
    return Fleet(START, radio=True, lines={name: tuple(line) for name, line in lines.items()})


def test_two_fleets_of_one_line_agree_under_the_base_charter() -> None:
    fleet = crossing({"s": (NORTH, BASE), "e": (SOUTH, BASE)})
    run(fleet, 20.0)
    assert out(fleet) == {"s", "e"}
    spoken = {name: detail["to"] for _, name, detail in kinds(fleet, "charter") if detail["state"] == "base_charter"}
    assert spoken == {"s": BASE.charter_id(), "e": BASE.charter_id()}
    assert {name for _, name, _ in kinds(fleet, "commit")} == {"s", "e"}
    assert kinds(fleet, "fallback") == []


def test_two_fleets_without_anything_in_common_cross_by_sight_and_call_a_person() -> None:
    fleet = crossing({"s": (NORTH, BASE), "e": (STRANGER,)})
    until(fleet, lambda: out(fleet) == {"s", "e"}, 60.0)
    assert {name for _, name, _ in kinds(fleet, "escalation")} == {"s", "e"}
    assert [name for _, name, _ in kinds(fleet, "fallback")] == ["e"]
    # The other is alone then: it agrees with itself.
    assert [(name, detail["members"]) for _, name, detail in kinds(fleet, "proposal")] == [("s", ["s"])]


def test_a_vehicle_on_its_way_to_a_zone_takes_a_new_charter_up_only_when_it_is_through() -> None:
    fleet = crossing({"s": (NORTH, BASE), "e": (NORTH, BASE)})
    until(fleet, lambda: all(node.listens for node in fleet.nodes.values()))
    for node in fleet.nodes.values():
        node._parts.seat.order((NEXT, NORTH, BASE), "rollout")
    run(fleet, 25.0)
    swaps = {name: ms for ms, name, detail in kinds(fleet, "charter") if detail["state"] == "rollout"}
    commits = {name: ms for ms, name, _ in kinds(fleet, "commit")}
    assert set(swaps) == set(commits) == {"s", "e"}
    assert all(swaps[name] > commits[name] + 2000 for name in swaps)
