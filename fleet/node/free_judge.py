"""The protocol's Judge port off the road: is this joint plan safe by what *this* vehicle knows, hears and sees?

A whole site is one zone: everybody on it who may still move is a member. Whoever stands and is heard is an
obstacle where it stands; whoever stands and is not heard is one as the sensors see it; while anybody moves
whom no message accounts for, nothing is signed (rules P8, P10).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from fleet.node.bodies import heard_body
from fleet.node.free_book import FreeBook
from fleet.node.judge import EPS_S
from fleet.node.surroundings import Surroundings
from fleet.protocol.records import LiveTube, Local
from fleet.protocol.table import Phase
from fleet.protocol.wire import Entry, Intent, Proposal
from planners.check_timed import SiteShapes, Tube, apart, motion_findings, site_findings

Floats = npt.NDArray[np.float64]

STRAYED_M = 1.0
"""As ``accounting.STRAYED_M``: off its announced place by more than this a vehicle does not do what it says."""
SEEN_MARGIN_M = 0.25
"""Around a standing body that only the sensors know: twice their error, and half of it again."""
MOVES_MPS = 0.6
"""A body that no message accounts for and that is faster than this moves: four times the sensors' error, for an
agreement is given up for it. What creeps is kept from by the kernel's guard."""
AHEAD_S = 3.0
"""So long before it would meet what somebody else now does, a vehicle gives its plan up: twice the time to stop."""
_START_M, _START_RAD, _START_MPS = 0.03, 0.01, 0.02


class FreeJudge:
    """Judges proposals for one site on one vehicle; no plan there turns tighter than ``kappa_max_1pm``."""

    def __init__(self, name: str, book: FreeBook, around: Surroundings, kappa_max_1pm: float) -> None:
        self._name, self._book, self._around = name, book, around
        self._kappa_max_1pm = kappa_max_1pm

    def verify(self, proposal: Proposal, known: Sequence[LiveTube], local: Local) -> tuple[str, ...]:
        bodies = {tube.vehicle: heard_body(tube.vehicle, tube.body) for tube in known if tube.body is not None}
        announced = {t.vehicle: t.plan for t in known if not t.proposal_hash}
        announced[self._name] = local.plan
        batch: list[Tube] = []
        reasons: list[str] = []
        for entry in proposal.batch:
            body = bodies.get(entry.vehicle)
            tube = None if body is None else self._book.tube(body, entry.plan)
            if body is None or tube is None:
                reasons.append(f"{'unheard' if body is None else 'not_a_plan'}:{entry.vehicle}")
                continue
            batch.append(tube)
            reasons += self._alone(entry, tube, announced.get(entry.vehicle, b""), proposal)
        if reasons:
            return tuple(reasons)
        others = self.others(known, {tube.body.vehicle for tube in batch})
        if others is None:
            return ("not_a_plan:announced",)
        return (*self._against(batch, others, proposal.stamp_ms), *self._unspoken(batch, proposal.stamp_ms))

    def required_members(self, batch: Sequence[Entry], peers: Mapping[str, Intent], local: Local) -> frozenset[str]:
        """Everybody on the site who may still move, and who is planned for."""
        moving = {name for name, intent in peers.items() if intent.phase is not Phase.CLEARED}
        return frozenset(moving | ({entry.vehicle for entry in batch} & peers.keys()))

    def others(self, known: Sequence[LiveTube], batch: set[str]) -> list[Tube] | None:
        """What the batch must be clear of: all tubes of others, and those that its own vehicles got before (rule P7).

        None: somebody announces bytes that are no plan, so that nobody knows where it will be.
        """
        found = []
        for one in known:
            if one.vehicle in batch and not one.proposal_hash:
                continue
            tube = None if one.body is None else self._book.tube(heard_body(one.vehicle, one.body), one.plan)
            if tube is None:
                return None
            found.append(tube)
        return found

    def clash(self, a: Tube, b: Tube, from_ms: int) -> bool:
        """Whether two tubes are not proven apart."""
        return not self._book.apart(a, b, from_ms)

    def meet_soon(self, a: Tube, b: Tube, now_ms: int) -> bool:
        """Whether two tubes are not proven apart over the time in which a vehicle must begin to stop."""
        now_s = now_ms * 1e-3
        return apart(a, b, from_s=now_s, until_s=now_s + AHEAD_S) is not None

    def seen_obstacles(self) -> list[tuple[int, Floats]]:
        """(row, outline) of the bodies that stand and that no message accounts for, on the site."""
        table, rows = self._around.table, self._around.silent_rows()
        return [(row, _box(table[row])) for row in rows if not self._moves(row) and self._on_site(row)]

    def stands_on_its_way(self, name: str, intent: Intent) -> bool:
        """Whether a body that no message accounts for stands where ``name``, which fell silent, may have stopped.

        That is anywhere on the path of its last plan, from where it was by its last word.
        """
        place = self._book.place(intent.plan, intent.stamp_ms * 1e-3)
        arcs = None if place is None else self._book.arcs(place[0])
        if place is None or arcs is None:
            return False
        body = heard_body(name, intent.body)
        middle_m = 0.5 * (body.footprint.front_m - body.footprint.rear_m)
        x, y, yaw = arcs.poses(np.append(np.arange(place[1], arcs.length_m, 0.5), arcs.length_m))
        x, y = x + middle_m * np.cos(yaw), y + middle_m * np.sin(yaw)
        table = self._around.table
        return any(
            bool((np.hypot(x - table[row, 0], y - table[row, 1]) < STRAYED_M).any()) and not self._moves(row)
            for row in self._around.silent_rows()
        )

    def unaccounted(self) -> list[str]:
        """Bodies on the site that move and whom no message accounts for, and those not where they say they are."""
        around = self._around
        found = []
        for row, peer in enumerate(around.peer_of):
            if peer is None and self._moves(row) and self._on_site(row):
                found.append(f"silent:t{around.tracks[row].track_id}")
            elif peer is not None and around.strayed_m(row) > STRAYED_M:
                found.append(f"strayed:{peer}")
        return found

    def _alone(self, entry: Entry, tube: Tube, announced: bytes, proposal: Proposal) -> list[str]:
        """Start, lease, drivability and site, for one vehicle of the batch."""
        name = entry.vehicle
        if not self._starts_where_it_stands(tube, announced, proposal.decide_by_ms):
            return [f"start:{name}"]
        if tube.plan.end_ms * 1e-3 + EPS_S > entry.lease_end_ms * 1e-3:
            return [f"lease:{name}"]
        found = [f"{kind}:{name}" for kind in motion_findings(tube, self._kappa_max_1pm)]
        return found or [f"site:{finding}" for finding in self._book.off_site(tube, proposal.stamp_ms)]

    def _starts_where_it_stands(self, tube: Tube, announced: bytes, decide_by_ms: int) -> bool:
        """The vehicle stands by what it announces, and the new plan begins there, not before the decision."""
        old = self._book.tube(tube.body, announced)
        if old is None or tube.plan.t0_ms < decide_by_ms or tube.plan.v0_mmps or old.end_s > decide_by_ms * 1e-3:
            return False
        at = np.array([decide_by_ms * 1e-3])
        (x, y, yaw), (u, v, turn) = old.poses(at), tube.poses(at)
        near = math.hypot(x[0] - u[0], y[0] - v[0]) <= _START_M
        return near and abs(math.remainder(yaw[0] - turn[0], math.tau)) <= _START_RAD

    def _against(self, batch: Sequence[Tube], others: Sequence[Tube], from_ms: int) -> list[str]:
        found = []
        for n, one in enumerate(batch):
            for other in (*batch[:n], *others):
                if other.body.vehicle != one.body.vehicle and self.clash(one, other, from_ms):
                    found.append(f"conflict:{one.body.vehicle}:{other.body.vehicle}")
        return found

    def _unspoken(self, batch: Sequence[Tube], from_ms: int) -> list[str]:
        """Bodies that no message accounts for."""
        found = self.unaccounted()
        for row, outline in [] if found else self.seen_obstacles():
            shapes = SiteShapes(np.empty((0, 3)), (outline,), (-math.inf, -math.inf, math.inf, math.inf))
            for tube in batch:
                if site_findings(tube, shapes, from_s=from_ms * 1e-3):
                    found.append(f"silent:{tube.body.vehicle}:t{self._around.tracks[row].track_id}")
        return found

    def _moves(self, row: int) -> bool:
        return abs(float(self._around.table[row, 3])) > MOVES_MPS

    def _on_site(self, row: int) -> bool:
        x, y = float(self._around.table[row, 0]), float(self._around.table[row, 1])
        x0, y0, x1, y1 = self._book.site.border_m
        return x0 <= x <= x1 and y0 <= y <= y1


def _box(row: Floats) -> Floats:
    """Corners of a track's outline with a margin; ``row`` is x, y, yaw, speed, length, width."""
    half, side = 0.5 * row[4] + SEEN_MARGIN_M, 0.5 * row[5] + SEEN_MARGIN_M
    c, s = math.cos(row[2]), math.sin(row[2])
    corners = np.array([[half, side], [-half, side], [-half, -side], [half, -side]])
    out: Floats = corners @ np.array([[c, s], [-s, c]]) + row[:2]
    return out
