"""Circles of waiting are found in time, all of them, and nothing else is called one."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from fleet.charter.terms import Monitors
from fleet.oversight.findings import CALL_PERSON, FIRST_COME
from fleet.oversight.snapshot import BODY, EXIT, ORDER, VehicleView, Wait
from fleet.oversight.waiting import WaitMonitor, circles
from tests.oversight.views import stands, view

LIMITS = Monitors().thresholds
NAMES = "abcdef"


def reachable(edges: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    work = [start]
    while work:
        for other in edges.get(work.pop(), set()):
            if other not in found:
                found.add(other)
                work.append(other)
    return found


@given(st.sets(st.sampled_from([(a, b) for a, b in product(NAMES, NAMES) if a != b]), max_size=14))
def test_circles_are_exactly_the_sets_whose_members_all_reach_each_other(pairs: set[tuple[str, str]]) -> None:
    edges = {name: {b for a, b in pairs if a == name} for name in NAMES}
    reach = {name: reachable(edges, name) for name in NAMES}
    slow = {tuple(sorted(b for b in NAMES if b in reach[a] and a in reach[b])) for a in NAMES if a in reach[a]}
    assert circles(edges) == sorted(slow)


def test_a_long_ring_needs_no_deep_stack() -> None:
    count = 5_000
    ring = {f"v{k:05d}": [f"v{(k + 1) % count:05d}"] for k in range(count)}
    assert len(circles(ring)[0]) == count


def test_a_gridlock_is_found_within_the_charters_bound_wherever_the_snapshots_fall() -> None:
    for offset_ms in range(0, 500, 50):  # the circle closes so long before the first snapshot that shows it
        monitor, found_ms = WaitMonitor(LIMITS), None
        for now_ms in range(10_000 + offset_ms, 20_000, 500):
            four = [stands(a, b, cause=EXIT) for a, b in zip("news", "ewsn", strict=True)]
            if monitor.look(view(now_ms, *four)):
                found_ms = now_ms
                break
        assert found_ms is not None
        assert 1_000 <= found_ms - 10_000 <= LIMITS["gridlock_ms"]


def test_a_gridlock_by_order_falls_back_to_first_come_and_one_of_bodies_calls_a_person() -> None:
    for causes, response in (((BODY, EXIT), CALL_PERSON), ((BODY, ORDER), FIRST_COME)):
        monitor = WaitMonitor(LIMITS)
        pair = stands("a", "b", cause=causes[0]), stands("b", "a", cause=causes[1])
        found = [finding for now_ms in range(0, 3_000, 500) for finding in monitor.look(view(now_ms, *pair))]
        assert found[0].response == response
        assert found[0].who == ("a", "b")
        assert "a -> b -> a" in found[0].text


def test_a_queue_that_waits_for_one_who_waits_for_nobody_is_no_gridlock() -> None:
    monitor = WaitMonitor(LIMITS)
    queue = stands("a", "b"), stands("b", "c"), stands("c")
    assert not any(monitor.look(view(now_ms, *queue)) for now_ms in range(0, 30_000, 500))


def test_a_circle_that_opens_in_time_is_no_gridlock() -> None:
    monitor = WaitMonitor(LIMITS)
    for now_ms in range(0, 30_000, 500):
        waits = ("b",) if now_ms % 1_500 else ()
        assert not monitor.look(view(now_ms, stands("a", *waits), stands("b", "a")))


def test_members_that_join_a_jam_do_not_make_it_younger() -> None:
    monitor = WaitMonitor(LIMITS)
    assert not monitor.look(view(0, stands("a", "b"), stands("b", "a"), stands("c")))
    assert not monitor.look(view(500, stands("a", "b"), stands("b", "a"), stands("c", "a")))
    found = [
        finding
        for now_ms in (1_000, 1_500)
        for finding in monitor.look(view(now_ms, stands("a", "b", "c"), stands("b", "a"), stands("c", "a")))
    ]
    assert found and found[0].since_ms == 0 and found[0].who == ("a", "b", "c")


def creeping(name: str, other: str, travelled_mm: int) -> VehicleView:
    return VehicleView(
        name, zone="J", speed_mmps=200, travelled_mm=travelled_mm, waits=(Wait(other, ORDER),), waits_since_ms=0
    )


def test_two_that_go_on_yielding_to_each_other_are_a_livelock_and_two_that_get_on_are_not() -> None:
    stuck, moving = WaitMonitor(LIMITS), WaitMonitor(LIMITS)
    found = []
    for now_ms in range(0, 2_500, 500):
        nudge = 40 * (now_ms // 500 % 2)
        found += stuck.look(view(now_ms, creeping("a", "b", nudge), creeping("b", "a", 40 - nudge)))
        assert not moving.look(view(now_ms, creeping("a", "b", 4 * now_ms), creeping("b", "a", 0)))
    assert found[0].kind == "livelock" and found[0].response == FIRST_COME
    assert found[0].figure <= LIMITS["livelock_ms"]
