"""Plans off the road by their bytes: decoded, placed and compared once, however often they are asked for.

All answers are pure functions of bytes that peers signed and of the site, so that one book may serve all
nodes of a simulation; on a vehicle it serves one.
"""

from __future__ import annotations

from functools import lru_cache, partial

from fleet.errors import PlanError
from fleet.node.plan_book import Place, PlanBook
from fleet.node.road import Roads
from planners.arc_path import ArcPath
from planners.arcs import Arcs
from planners.check_timed import SiteShapes, Tube, apart, site_findings, tube_of
from planners.interface import Body
from planners.timed_path import TimedPath
from planners.zone_map import ZoneMap

_REMEMBERED = 8192
_KAPPA_1PM_MAX, _SPEED_MPS_MAX = 10.0, 10.0
"""Nothing drives so off the road (a model car turns in 0.2 m); a plan that does is no plan."""


class FreeBook(PlanBook):
    """Of one site."""

    def __init__(self, zone_map: ZoneMap, site: SiteShapes) -> None:
        super().__init__(Roads(zone_map))
        self.site = site
        self.arcs = lru_cache(maxsize=_REMEMBERED)(_arcs_or_none)
        self._tubes = lru_cache(maxsize=_REMEMBERED)(tube_of)
        self._apart = lru_cache(maxsize=_REMEMBERED)(_apart)
        self._off_site = lru_cache(maxsize=_REMEMBERED)(partial(_off_site, site))

    def knows(self, plan: TimedPath) -> bool:
        return self.arcs(plan.path_id) is not None

    def tube(self, body: Body, raw: bytes) -> Tube | None:
        """A plan with its path; None: the bytes are no usable plan of that vehicle."""
        plan = self.decode(raw)
        if plan is None or plan.vehicle != body.vehicle or not self.knows(plan):
            return None
        tube: Tube = self._tubes(body, plan)
        absurd = tube.path.kappa_max_1pm > _KAPPA_1PM_MAX or float(tube.arrays.v_mps.max()) > _SPEED_MPS_MAX
        return None if absurd else tube

    def apart(self, a: Tube, b: Tube, from_ms: int) -> bool:
        """Whether the verifier proves two tubes apart from ``from_ms`` on."""
        if a.body.vehicle > b.body.vehicle:
            a, b = b, a
        return bool(self._apart(a.body, a.plan, b.body, b.plan, from_ms))

    def off_site(self, tube: Tube, from_ms: int) -> tuple[str, ...]:
        """What the verifier finds of a tube and the site's obstacles and border from ``from_ms`` on."""
        found: tuple[str, ...] = self._off_site(tube.body, tube.plan, from_ms)
        return found

    def _locate(self, raw: bytes, now_s: float) -> Place | None:
        plan = self.decode(raw)
        arcs = None if plan is None else self.arcs(plan.path_id)
        if plan is None or arcs is None:
            return None
        s_m, _, _ = self.arrays(plan).at(min(max(now_s, plan.t0_ms * 1e-3), plan.end_ms * 1e-3))
        return plan.path_id, s_m, *arcs.pose(s_m)


def _arcs_or_none(text: str) -> Arcs | None:
    try:
        return Arcs(ArcPath.parse(text))
    except PlanError:
        return None


def _apart(body_a: Body, plan_a: TimedPath, body_b: Body, plan_b: TimedPath, from_ms: int) -> bool:
    return apart(tube_of(body_a, plan_a), tube_of(body_b, plan_b), from_s=from_ms * 1e-3) is None


def _off_site(site: SiteShapes, body: Body, plan: TimedPath, from_ms: int) -> tuple[str, ...]:
    return tuple(site_findings(tube_of(body, plan), site, from_s=from_ms * 1e-3))
