"""The simulation gate of a charter: the same scenarios under the draft and under its parent, compared.

Two questions. *Does it harm?* Contacts, delay, starvation and vehicles that never arrive are measured in the world.
*What would change?* While the parent is driven by, the draft's planner is asked at each proposal what it would have
planned for the very same requests; proposals whose plans differ are counted, and the first are named.
The report holds integers only: its digest is signed with the charter.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from fleet.charter.canonical import digest_of
from fleet.charter.model import Charter, default_charter
from fleet.errors import CharterError
from fleet.node.charter_files import write_json
from planners.interface import Commitment, JointPlan, Request
from sim.fleet_node import NodeFactory
from sim.scenario import CountDemand, Demand, Scenario, load_scenario
from sim.scenario_checks import check_name

SUITE = ("four_way", "t_junction", "roundabout")
VEHICLES = 16
_HEADWAY_S = 1.2
_DURATION_S_MAX = 180.0
DELAY_SHARE_MAX, DELAY_MS_SPARE = 110, 500
"""The draft's mean delay may be this many per cent of the parent's and this much more."""
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run, in integers."""

    contacts: int
    unfinished: int
    mean_delay_ms: int
    wait_ms_max: int
    stops_milli: int
    energy_j_per_km: int
    commits: int

    def document(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Changes:
    """Proposals under the parent that the draft would have made otherwise."""

    proposals: int
    changed: int
    first: tuple[str, ...]

    def document(self) -> dict[str, object]:
        return {"changed": self.changed, "first": list(self.first), "proposals": self.proposals}


def busy(name: str, vehicles: int) -> Scenario:
    """A ready scenario with ``vehicles`` that arrive close together, in the kinematic world, by weighed orders."""
    scenario = load_scenario(name)
    if scenario.map.builtin is None:
        raise CharterError(f"scenario {name} has no built-in map; the gate takes those that have")
    return msgspec.structs.replace(
        scenario,
        world="kinematic",
        planner="welfare",
        demand=Demand(count=CountDemand(vehicles=vehicles, headway_s=_HEADWAY_S)),
        faults=(),
        legacy=(),
        duration_s_max=_DURATION_S_MAX,
        expectations={},
    )


def drive(scenario: Scenario, charter: Charter, prepare: Callable[[NodeFactory], None] | None = None) -> Outcome:
    """Run ``scenario`` under ``charter``, whether it counts or not, and measure."""
    from sim.runner import RunOptions, run

    with tempfile.TemporaryDirectory(prefix="accord-gate-") as folder:
        file = Path(folder) / "charter.json"
        write_json(file, replace(charter, not_before_s=0, not_after_s=0).document())
        named = msgspec.structs.replace(scenario, charter=str(file), allow_draft=True, start_unix_s=0)
        options = RunOptions(out=Path(folder) / "run", progress=False, mcap=False, prepare=prepare)
        found = {metric.name: metric.value for metric in run(named, options.out, options).metrics}
    return Outcome(
        _whole(found["contacts"]),
        _whole(found["unfinished"]),
        _whole(found["mean_delay_s"], 1000),
        _whole(found["wait_s_max"], 1000),
        _whole(found["stops_per_vehicle"], 1000),
        _whole(found["energy_kj_per_km"], 1000),
        _whole(found["commits"]),
    )


def _whole(value: float | int | None, factor: int = 1) -> int:
    return 0 if value is None else round(factor * value)


class Shadow:
    """Asks the planner of another charter the same questions."""

    def __init__(self, draft: Charter) -> None:
        self._draft = draft
        self.proposals = self.changed = 0
        self.first: list[str] = []

    def prepare(self, factory: NodeFactory) -> None:
        """To be called before the run."""
        assembly = factory.assembly
        assembly.charters.enter((self._draft,))
        planner = assembly.charters.planners[self._draft.charter_id()]

        def planned(
            name: str, requests: Sequence[Request], commitments: Sequence[Commitment], answer: JointPlan, now_ms: int
        ) -> None:
            self.proposals += 1
            other = planner.plan(requests, commitments, now_ms=now_ms)
            if set(other.plans) == set(answer.plans):
                return
            self.changed += 1
            if len(self.first) < _EXAMPLES:
                orders = (" ".join(plan.vehicle for plan in one.plans) or "nobody" for one in (answer, other))
                self.first.append(f"{now_ms} ms, {name}: {' instead of '.join(reversed(list(orders)))}")

        assembly.planned = planned

    @property
    def changes(self) -> Changes:
        return Changes(self.proposals, self.changed, tuple(self.first))


def gate(
    draft: Charter, parent: Charter | None, names: Sequence[str], vehicles: int, say: Callable[[str], None]
) -> dict[str, object]:
    """The report: every run, what would change, and what is against the draft.

    Raises
    ------
    CharterError
        A scenario without a built-in map.
    """
    before = parent or default_charter()
    rows: list[dict[str, object]] = []
    faults: list[str] = []
    for name in names:
        scenario, shadow = busy(name, vehicles), Shadow(draft)
        say(f"{name} under {before.name}")
        old = drive(scenario, before, shadow.prepare)
        say(f"{name} under {draft.name}")
        new = drive(scenario, draft)
        faults += [f"{name}: {fault}" for fault in against(old, new, 1000 * draft.starvation_bound_s)]
        rows.append(
            {
                "changes": shadow.changes.document(), "draft": new.document(), "parent": old.document(),
                "scenario": name, "seed": scenario.seed, "vehicles": vehicles,
            }
        )  # fmt: skip
    return {
        "accord": "gate report",
        "draft": draft.charter_id().hex(),
        "faults": faults,
        "parent": before.charter_id().hex(),
        "runs": rows,
    }


def against(old: Outcome, new: Outcome, bound_ms: int) -> list[str]:
    """What speaks against a draft, from one scenario under its parent and under itself."""
    found = []
    if new.contacts:
        found.append(f"{new.contacts} contacts")
    if new.unfinished > old.unfinished:
        found.append(f"{new.unfinished} vehicles never arrive, {old.unfinished} under the parent")
    limit_ms = old.mean_delay_ms * DELAY_SHARE_MAX // 100 + DELAY_MS_SPARE
    if new.mean_delay_ms > limit_ms:
        found.append(f"mean delay {new.mean_delay_ms} ms is above {limit_ms} ms (parent {old.mean_delay_ms} ms)")
    if new.wait_ms_max > max(bound_ms, old.wait_ms_max):
        found.append(f"somebody waits {new.wait_ms_max} ms, longer than the starvation bound of {bound_ms} ms")
    return found


def gate_digest(report: Mapping[str, object]) -> str:
    """What signatures under a charter name."""
    return digest_of("ACCORD/gate/v1", dict(report)).hex()


def consequences(
    charters: Mapping[str, Charter], name: str, vehicles: int, say: Callable[[str], None]
) -> dict[str, Outcome]:
    """What each charter does in one scenario: for voters, before they sign."""
    found = {}
    for label, charter in charters.items():
        say(label)
        found[label] = drive(busy(name, vehicles), charter)
    return found


def check_suite(names: Sequence[str]) -> None:
    """Raise :class:`fleet.errors.ConfigError` unless every scenario is known."""
    from sim.scenario import scenario_names

    for name in names:
        check_name("--scenario", "scenario", name, scenario_names())
