"""The mechanism of a simulated fleet at work: claims, the order, and what is owed when somebody has crossed.

Bids travel in the vehicles' signed intents. Receipts are exchanged here without loss, signed with both vehicles' own
keys; each vehicle's view of the accounts is the one ledger that these receipts make, as if every receipt reached
everybody at once. A fleet on the road needs a message for that, which does not exist yet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fleet.charter.model import MECHANISMS, Charter, default_charter
from fleet.mechanism.accounts import Ledger, gini, signed
from fleet.mechanism.claims import ClaimDesk, Credential, Grant
from fleet.mechanism.equilibrium import Equilibrium, Population, solve
from fleet.mechanism.interface import OFFICE, URGENCY_MAX, URGENCY_WEIGHT, Claim, Due, Evidence, Situation
from fleet.mechanism.karma import Karma, bid_milli
from fleet.mechanism.registry import guarded
from fleet.node.driver import Node
from fleet.node.parts import Noter
from fleet.node.signing import Keyring
from fleet.node.voice import Voice
from fleet.protocol.wire import Intent
from planners.interface import Request
from sim.attackers import claims_ms, entry_of, is_uncovered, is_witnessed, opening_balance, says_milli, urgency_of
from sim.demand import chance
from sim.node_office import NodeOffice
from sim.run_folder import KARMA
from sim.scenario import Scenario, Urgency
from sim.scenario_checks import RANKED_PLANNERS
from sim.stage import Stage

FIRST_COME = "first_come"
PATIENCE = 0.98
"""Of the bid table: what the next crossing counts against this one."""
TOLERANCE_MS = 2_000
"""An arrival may have been heard so much later than it is said to have been: lost intents, and those who came last."""
_PASSES = 100


class Till:
    """Of one run."""

    def __init__(self, scenario: Scenario, stage: Stage, office: NodeOffice, charter: Charter) -> None:
        self.mechanism = guarded(mechanism_of(scenario, charter), charter.starvation_bound_s * 1000)
        self._scenario, self._office = scenario, office
        self._weighs = scenario.planner.startswith("welfare")
        self._origin = {path_id: path.origin for path_id, path in stage.zone_map.paths.items()}
        names = [actor.vehicle_id for actor in stage.actors]
        self.attackers = {name: entry for name in names if (entry := entry_of(scenario, scenario.attackers, name))}
        self._urgent = {name: entry for name in names if (entry := entry_of(scenario, scenario.urgency, name))}
        self._keys = {name: office.signer(name).public_key for name in sorted({*names, OFFICE})}
        self._ring = Keyring(self._keys)
        self._nodes: dict[str, Node] = {}
        self._said: dict[tuple[str, str, int], int] = {}
        self._heard: dict[tuple[str, str], int] = {}
        self._owed: dict[str, tuple[str, tuple[Due, ...]]] = {}
        self._noted: set[str] = set()
        self._note: Noter = lambda now_ms, kind, detail: None
        self.ledger: Ledger | None = None
        self._endowment: dict[str, int] = {}
        if isinstance(self.mechanism.mechanism, Karma):
            self.mechanism.mechanism.reveals = bid_table(self._share()).reveals()
        if self.mechanism.accounts:
            self._endowment = {name: opening_balance(self.attackers.get(name), self._drawn(name)) for name in names}
            self.ledger = Ledger(self._endowment, self._ring.verify)
        self._desk = ClaimDesk(self._ring.verify)
        self._desk.hold(self._credential(name, urgent) for name, urgent in self._urgent.items())

    def begin(self, note: Noter) -> None:
        """Where notes of no vehicle in particular go; the accounts at the beginning are the first."""
        self._note = note
        self._balances(0, "accounts_open")

    # --- what vehicles say

    def voice(self, name: str, note: Noter) -> Voice:
        """What ``name`` says of itself."""
        return _TillVoice(self, name, note)

    def says(self, name: str, zone_id: str, arrived_ms: int, note: Noter) -> int:
        """The urgency that ``name`` says at this engagement."""
        visit = (name, zone_id, arrived_ms)
        found = self._said.get(visit)
        if found is None:
            balance = self.ledger.spendable(name) if self.ledger else 0
            found = says_milli(self.attackers.get(name), self._honest_milli(name, zone_id, balance))
            self._said[visit] = found
            grant = self._granted(name, zone_id, arrived_ms, found)
            detail = {"zone": zone_id, "says": found, "evidence": grant.evidence.name.lower(), "reason": grant.reason}
            note(arrived_ms, "claim", detail | ({"balance": balance} if self.ledger else {}))
        return found

    def _honest_milli(self, name: str, zone_id: str, balance: int) -> int:
        truth = round(URGENCY_MAX * urgency_of(self._scenario, name))
        if self._scenario.claims == "selfish":
            return URGENCY_MAX
        if self._scenario.claims == "truth" or not self.mechanism.accounts:
            return truth
        return bid_milli(bid_table(self._share()).bid(balance, int(truth > 0), self._luck(f"bid {zone_id}", name)))

    # --- who goes first

    def rank(self, requests: Sequence[Request], now_ms: int) -> list[Request]:
        """The planner's requests with the mechanism's ranks or weights."""
        if not requests:
            return list(requests)
        zone = requests[0].zone_id
        length: dict[str, int] = {}
        for request in requests:
            origin = self._origin[request.approach.path_id]
            length[origin] = length.get(origin, 0) + 1
        claims = [
            self._claim(
                request.body.vehicle, zone, request.approach.path_id, request.arrived_ms,
                round(request.urgency * URGENCY_MAX), now_ms, length,
            )
            for request in requests
        ]  # fmt: skip
        choice = self.mechanism.decide(Situation.of(zone, self._scenario.seed, now_ms, claims))
        if choice.fallback and choice.fallback not in self._noted:
            self._noted.add(choice.fallback)
            self._note(now_ms, "mechanism_fallback", {"zone": zone, "reason": choice.fallback})
        place = {name: number for number, name in enumerate(choice.order)}
        weight = dict(zip(choice.order, choice.weight_milli, strict=True))
        if self._weighs:
            since = {claim.vehicle: claim.arrived_ms for claim in claims}
            weighed = [(r, r.body.vehicle) for r in requests]
            return [replace(r, urgency=weight.get(v, 0) / URGENCY_MAX, arrived_ms=since[v]) for r, v in weighed]
        return [replace(r, arrived_ms=place.get(r.body.vehicle, len(place))) for r in requests]

    def _claim(
        self, name: str, zone: str, path_id: str, arrived_ms: int, says: int, now_ms: int, length: Mapping[str, int]
    ) -> Claim:
        attacker = self.attackers.get(name)
        grant = self._granted(name, zone, arrived_ms, says)
        if is_witnessed(attacker):
            arrived_ms = max(arrived_ms, self._heard.setdefault((name, zone), now_ms) - TOLERANCE_MS)
        balance = self.ledger.spendable(name) if self.ledger else 0
        if is_uncovered(attacker):
            balance = URGENCY_MAX
        origin = self._origin[path_id]
        return Claim(name, arrived_ms, origin, grant.urgency_milli, grant.evidence, length.get(origin, 1), balance)

    def _granted(self, name: str, zone: str, arrived_ms: int, says: int) -> Grant:
        """What it says, capped by what it can show; a bid needs no evidence, for it is paid."""
        if self.ledger is not None or not says:
            return Grant(Evidence.NONE, says)
        return self._desk.grant(name, says, (zone, arrived_ms), arrived_ms)

    # --- what is owed

    def listen(self, name: str, note: Noter) -> Noter:
        """``note`` of a vehicle's node, with dues found at its commits and settled when it has cleared the zone."""

        def noted(now_ms: int, kind: str, detail: Mapping[str, object]) -> None:
            note(now_ms, kind, detail)
            if kind == "commit":
                self._commit(name, str(detail["proposal"]), now_ms)
            elif kind == "release":
                self._release(name, now_ms, note, crossed=detail.get("reason") == "cleared")

        return noted

    def attend(self, name: str, node: Node) -> None:
        """The node whose notes are listened to."""
        self._nodes[name] = node

    def _commit(self, name: str, proposal: str, now_ms: int) -> None:
        """What ``name`` owes for being let through now, by what it has heard of those who still wait."""
        self._forget(name)
        core = self._nodes[name].core
        waiting: dict[str, Intent] = core.waiting(now_ms)
        own = self._nodes[name].spoken
        if own is None:
            return
        zone, arrived_ms, says = own
        length: dict[str, int] = {}
        claims = [self._claim(name, zone, self._nodes[name].road.path.path_id, arrived_ms, says, now_ms, length)]
        claims += [
            self._claim(other, zone, intent.path_id, intent.arrived_ms, intent.urgency, now_ms, length)
            for other, intent in waiting.items()
            if other != name and intent.path_id in self._origin
        ]
        situation = Situation.of(zone, self._scenario.seed, now_ms, claims)
        dues = () if is_uncovered(self.attackers.get(name)) else self.mechanism.dues(situation, name)
        if self.mechanism.failure:
            self._note(now_ms, "mechanism_fallback", {"zone": zone, "reason": self.mechanism.failure})
        if dues:
            self._owed[name] = (f"{zone} {proposal}", dues)
            if self.ledger:
                self.ledger.owe(name, sum(due.units for due in dues))

    def _release(self, name: str, now_ms: int, note: Noter, *, crossed: bool) -> None:
        crossing, dues = self._owed.get(name, ("", ()))
        self._forget(name)
        if not crossed:
            return
        for due in dues:
            if due.payee == OFFICE or self.ledger is None:
                note(now_ms, "payment", {"payee": due.payee, "units": due.units, "crossing": crossing})
            else:
                self._pay(self.ledger, due, crossing, now_ms, note)

    def _pay(self, ledger: Ledger, due: Due, crossing: str, now_ms: int, note: Noter) -> None:
        zone = crossing.partition(" ")[0]
        draft = ledger.draft(zone, crossing, due.payer, due.payee, due.units, now_ms)
        if draft.units:
            receipt = signed(draft, self._office.signer(due.payer).sign, self._office.signer(due.payee).sign)
            why = ledger.append(receipt)
            detail = {"payee": due.payee, "units": receipt.units, "bid": due.units, "receipt": receipt.digest()}
            note(now_ms, "settlement", detail | ({"refused": why} if why else {}))

    def _forget(self, name: str) -> None:
        _, dues = self._owed.pop(name, ("", ()))
        if self.ledger:
            self.ledger.owe(name, -sum(due.units for due in dues))

    # --- accounts

    def close(self, now_ms: int, out: Path | None) -> None:
        """Note the accounts at the end, and write their file into ``out``."""
        self._balances(now_ms, "accounts_close")
        if self.ledger is None or out is None:
            return
        keys = {name: key.hex() for name, key in self._keys.items()}
        head = {"endowment": self._endowment, "joined": [], "keys": keys}
        lines = [head, *(receipt.line() for receipt in self.ledger.receipts)]
        text = "".join(json.dumps(line, sort_keys=True, separators=(",", ":")) + "\n" for line in lines)
        (out / KARMA).write_text(text, encoding="utf-8")

    def _balances(self, now_ms: int, kind: str) -> None:
        if self.ledger:
            detail = {"balances": dict(self.ledger.balances), "gini": gini(self.ledger.balances.values())}
            self._note(now_ms, kind, detail | {"drift": self.ledger.drift})

    def _drawn(self, name: str) -> int:
        """What an honest account holds by now: drawn from the equilibrium, for the fleet has driven before."""
        share, balances = 0.0, bid_table(self._share()).balances.tolist()
        luck = self._luck("balance", name)
        for balance, part in enumerate(balances):
            share += part
            if luck < share:
                return balance
        return len(balances) - 1

    def _share(self) -> float:
        shares = [entry.share for entry in self._scenario.urgency if entry.share]
        return min(0.9, max(0.1, round(sum(shares), 2))) if shares else 0.5

    def _luck(self, purpose: str, name: str) -> float:
        return chance(self._scenario.seed, purpose, name)

    def _credential(self, name: str, urgent: Urgency) -> Credential:
        kind = Evidence[urgent.evidence.upper()] if urgent.evidence != "none" else Evidence.TICKET
        made = Credential(kind, OFFICE, name, max(1, round(URGENCY_MAX * urgent.level)), 0, 24 * 3_600_000, _PASSES)
        if urgent.evidence == "none":
            return made  # unsigned: the desk does not hold it
        return replace(made, signature=self._office.signer(OFFICE).sign(made.statement()))


class _TillVoice(Voice):
    """Of one vehicle of the run."""

    def __init__(self, till: Till, name: str, note: Noter) -> None:
        self._till, self._name, self._note = till, name, note

    def urgency_milli(self, zone_id: str, arrived_ms: int) -> int:
        """See :class:`fleet.node.voice.Voice`."""
        return self._till.says(self._name, zone_id, arrived_ms, self._note)

    def arrived_ms(self, zone_id: str, now_ms: int) -> int:
        """See :class:`fleet.node.voice.Voice`."""
        return claims_ms(self._till.attackers.get(self._name), now_ms)


def bid_table(urgent_share: float) -> Equilibrium:
    """What honest vehicles bid by, if so many crossings are urgent."""
    return solve(Population((1.0, 1.0 + URGENCY_WEIGHT), (1.0 - urgent_share, urgent_share), PATIENCE))


def mechanism_of(scenario: Scenario, charter: Charter) -> str:
    """The scenario's, or else the charter's."""
    return scenario.mechanism if scenario.mechanism != FIRST_COME else charter.mechanism


def has_mechanism(scenario: Scenario, charter: Charter) -> bool:
    """Whether there is more to do than to let vehicles go in order of arrival, as they are.

    Baselines have a rule of their own, whatever a charter says.
    """
    ranked = scenario.planner.partition("+")[0] in RANKED_PLANNERS
    return ranked and (mechanism_of(scenario, charter) != FIRST_COME or bool(scenario.attackers))


def charter_of(scenario: Scenario) -> Charter:
    """The charter of a scenario that names none: the built-in one, but with its mechanism urgency counts.

    No charter can adopt ``stated``, the foil; it is run under a charter without a mechanism.
    """
    charter = default_charter()
    if not has_mechanism(scenario, charter):
        return charter
    name = scenario.mechanism if scenario.mechanism in MECHANISMS else charter.mechanism
    delay = 1000 // (1 + URGENCY_WEIGHT)
    weights = dict.fromkeys(charter.weights_milli, 0) | {"delay": delay, "urgency": 1000 - delay}
    return replace(charter, mechanism=name, weights_milli=weights)
