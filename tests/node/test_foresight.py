"""Open orders: who expects what, when agreement is due, and what a proposal then names."""

from __future__ import annotations

import math
from collections.abc import Callable

from fleet.node.foresight import RENEW_MS, RESERVE_MS
from planners.interface import Commitment, JointPlan, Request
from planners.order import WelfareOrder
from planners.timed_path import TimedPath
from tests.node.scenes import Fleet, approach, before_line, intent, junction, tube
from tests.node.test_driver import out, run, trespassers, until

FAR = {"s": ("S_straight", 60.0, 13.0), "e": ("E_straight", 60.0, 13.0)}


class Open:
    """An open planner that answers by a function and keeps what it was asked."""

    name, open_orders = "open", True

    def __init__(self, answer: Callable[[tuple[Request, ...]], JointPlan]) -> None:
        self.answer = answer
        self.asked: list[tuple[tuple[Request, ...], tuple[Commitment, ...]]] = []

    def plan(self, requests, commitments, *, now_ms):  # noqa: ANN001, ANN201
        self.asked.append((tuple(requests), tuple(commitments)))
        return self.answer(tuple(requests))

    def approach(self, body, path_id, state, **kwargs):  # noqa: ANN001, ANN003, ANN201
        return junction().planner.approach(body, path_id, state, **kwargs)


def welfare() -> WelfareOrder:
    return WelfareOrder(junction().zone_map, junction().conflicts)


def first_come(requests: tuple[Request, ...]) -> JointPlan:
    return junction().planner.plan(requests, [], now_ms=0)


def test_a_call_names_all_who_wait_and_a_proposal_only_those_for_whom_it_is_due() -> None:
    a, b = approach("a", "S_straight", 150.0, 13.0), approach("b", "E_straight", 150.0, 13.0)
    spy = Open(first_come)
    planner = junction().zone_planner(spy)
    planner.waiting = lambda now_ms: {name: intent(name, plan) for name, plan in (("a", a), ("b", b))}
    batch = planner.plan([intent("b", b)], [tube(a), tube(b)], 0, 300)
    requests, commitments = spy.asked[-1]
    assert {request.body.vehicle for request in requests} == {"a", "b"} and commitments == ()
    assert [entry[0] for entry in batch.entries] == ["b"]
    expected = planner.expected("a", [tube(a), tube(b)], 0, 300)
    assert isinstance(expected, TimedPath) and expected.vehicle == "a"


def test_a_refusal_of_somebody_who_only_waits_is_no_refusal_of_the_proposal() -> None:
    a, b = approach("a", "S_straight", 150.0, 13.0), approach("b", "E_straight", 150.0, 13.0)
    planner = junction().zone_planner(
        Open(lambda requests: first_come(tuple(r for r in requests if r.body.vehicle == "b")))
    )
    planner.waiting = lambda now_ms: {"a": intent("a", a)}
    batch = planner.plan([intent("b", b)], [tube(a), tube(b)], 0, 300)
    assert [entry[0] for entry in batch.entries] == ["b"] and batch.refused == ()
    assert planner.expected("a", [tube(a), tube(b)], 0, 300) is None


def test_with_open_orders_agreement_is_sought_when_braking_for_the_line_is_near() -> None:
    closed, late = Fleet(FAR, radio=True), Fleet(FAR, radio=True, planner=welfare())
    rooms = {}
    for name, fleet in (("closed", closed), ("open", late)):
        until(fleet, lambda fleet=fleet: fleet.nodes["s"].committed)  # type: ignore[misc]
        node = fleet.nodes["s"]
        rooms[name] = junction().passage("S_straight").line_s_m - node.front_s_m
        assert node.kernel.status.v_mps > 12.0  # it has not braked yet
    wait_m = 13.9 * (RENEW_MS + RESERVE_MS + 1000) * 1e-3
    assert rooms["open"] < 50.0 + wait_m < rooms["closed"]


def test_vehicles_with_open_orders_cross_without_standing_and_nobody_enters_without_a_right() -> None:
    fleet = Fleet({**FAR, "n": ("N_left", 55.0, 13.0), "w": ("W_right", 50.0, 13.0)}, radio=True, planner=welfare())
    slowest = math.inf
    seen: list[str] = []

    def watch() -> None:
        nonlocal slowest
        seen.extend(trespassers(fleet))
        slowest = min(slowest, *(node.kernel.status.v_mps for node in fleet.nodes.values()))

    run(fleet, 40.0, watch)
    assert out(fleet) == set(fleet.nodes) and not seen
    assert slowest > 1.0


def test_without_a_radio_open_orders_keep_nobody_from_stopping_and_taking_turns() -> None:
    starts = {
        "s": ("S_straight", before_line("S_straight", 60.0), 12.0),
        "e": ("E_straight", before_line("E_straight", 62.0), 12.0),
    }
    fleet = Fleet(starts, radio=False, planner=welfare())
    seen: list[str] = []
    run(fleet, 90.0, lambda: seen.extend(trespassers(fleet) if len(fleet.inside()) > 1 else []))
    assert out(fleet) == {"s", "e"} and not seen
