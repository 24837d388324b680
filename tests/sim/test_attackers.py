"""Each attack pays with its defence off and is cut with it on, seen where it counts: in the order that planners get."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import msgspec

from fleet.mechanism.karma import ENDOWMENT
from fleet.node.bodies import planner_body
from fleet.node.stopwatch import Stopwatch
from planners.interface import Request
from planners.timed_path import TimedPath
from sim.attackers import LIE_MS, claims_ms
from sim.node_office import NodeOffice
from sim.scenario import Attacker, Scenario, load_scenario
from sim.stage import Stage, build_stage
from sim.till import TOLERANCE_MS, Till, charter_of

MAP = """\
name: pair
map: {builtin: four_way, arm_m: 80}
demand:
  vehicles:
    - {id: honest, approach: N, movement: straight}
    - {id: bad, approach: E, movement: straight}
world: kinematic
mechanism: karma
"""


@lru_cache
def stage_of(text: str, folder: Path) -> tuple[Scenario, Stage]:
    file = folder / "s.yaml"
    file.write_text(text, encoding="utf-8")
    scenario = load_scenario(str(file))
    return scenario, build_stage(scenario)


def till(folder: Path, kind: str, *, defence: bool) -> Till:
    scenario, stage = stage_of(MAP, folder)
    attacker = Attacker(kind=kind, vehicle="bad", defence=defence)  # type: ignore[arg-type]
    changed = msgspec.structs.replace(scenario, attackers=(attacker,))
    return Till(changed, stage, NodeOffice(1, Stopwatch(lambda: 0.0), stage.zone_map.digest), charter_of(changed))


def order(one: Till, stage: Stage, said: dict[str, tuple[int, int]], now_ms: int) -> list[str]:
    """Names by rank; ``said``: arrival and urgency of each."""
    requests = []
    for actor in stage.actors:
        arrived_ms, urgency = said[actor.vehicle_id]
        body = planner_body(actor.vehicle_id, actor.vehicle)
        plan = TimedPath(actor.vehicle_id, actor.path_id, now_ms, 0, 0, ((1000, 0),))
        requests.append(Request(body, plan, now_ms, "zone0", arrived_ms, urgency / 1000.0, 1e9))
    ranked = one.rank(requests, now_ms)
    return [r.body.vehicle for r in sorted(ranked, key=lambda r: r.arrived_ms)]


def test_a_claim_to_have_come_long_ago_is_held_against_what_was_heard(tmp_path: Path) -> None:
    said = {"honest": (95_000, 0), "bad": (100_000 - LIE_MS, 0)}
    _, stage = stage_of(MAP, tmp_path)
    for defence, first in ((False, "bad"), (True, "honest")):
        one = till(tmp_path, "late_arrival_liar", defence=defence)
        assert one._heard == {}
        one._heard[("honest", "zone0")] = 95_000 + TOLERANCE_MS
        assert order(one, stage, said, 100_000)[0] == first
    liar = Attacker(kind="late_arrival_liar", vehicle="bad")
    assert claims_ms(liar, 100_000) == 100_000 - LIE_MS
    assert claims_ms(None, 100_000) == 100_000


def test_a_bid_counts_as_far_as_it_is_covered(tmp_path: Path) -> None:
    _, stage = stage_of(MAP, tmp_path)
    for defence, first in ((False, "bad"), (True, "honest")):
        one = till(tmp_path, "overbidder", defence=defence)
        assert one.ledger is not None
        one.ledger.balances.update(honest=9, bad=0)
        said = {"honest": (99_000, 500), "bad": (99_500, 1000)}
        assert order(one, stage, said, 100_000)[0] == first


def test_a_fresh_identity_is_worth_nothing_where_accounts_are_bound(tmp_path: Path) -> None:
    for defence, units in ((False, ENDOWMENT), (True, 0)):
        one = till(tmp_path, "whitewasher", defence=defence)
        assert one.ledger is not None
        assert one.ledger.spendable("bad") == units
