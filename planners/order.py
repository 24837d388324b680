"""The joint planner ``welfare``: the passing order that costs the fleet least, and its speed profiles.

The order is chosen in a model that is exact up to hundredths of a second (``planners/order_model.py``), the plans are
made by the profile search of ``first_come`` (``planners/sequential.py``), one vehicle after another in that
order. First come, first served is planned too, and what costs less as planned is the answer: so
on no call is this planner worse than ``first_come`` by the fleet's own measure.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from planners.first_come import FirstCome
from planners.interface import Body, Commitment, Conflicts, JointPlan, Refusal, Request
from planners.order_call import Call, call_of
from planners.order_drives import DriveStore
from planners.order_marks import Marks
from planners.order_model import OrderModels
from planners.order_search import best_order, decided
from planners.order_value import Value, value
from planners.sequence import Prepared, SequenceKernel
from planners.spacing import COMFORTABLE, Spacing
from planners.timed_path import TimedPath
from planners.welfare import Welfare
from planners.zone_map import ZoneMap

GENTLE_LOSS_S = 0.02
"""What a milder way to wait may cost one vehicle at the exit of the zone."""
SURE_S = 0.25
"""If first come, first served costs more than this per vehicle more, by the model, it is not planned: five times the
model's error at the 95th percentile (measured in the tests)."""


class WelfareOrder:
    """The joint planner ``welfare``. Not for use by two threads at once: it owns scratch arrays."""

    name = "welfare"
    open_orders = True

    def __init__(
        self,
        zone_map: ZoneMap,
        conflicts: Conflicts,
        spacing: Spacing = COMFORTABLE,
        welfare: Welfare | None = None,
    ) -> None:
        self._inner = FirstCome(zone_map, conflicts, spacing)
        self._welfare = welfare or Welfare()
        self._stores = Marks(zone_map, self._inner.sequential.tables, spacing), DriveStore(self._inner.sequential)
        self._models = OrderModels(self._inner.sequential, self._welfare)
        self._kernel = SequenceKernel(self._inner, GENTLE_LOSS_S)

    def plan(self, requests: Sequence[Request], commitments: Sequence[Commitment], *, now_ms: int) -> JointPlan:
        """Plan ``requests`` in the best order found; see :class:`planners.interface.JointPlanner`.

        Reasons of refusal are those of :meth:`planners.first_come.FirstCome.plan`.
        """
        turn = self._inner.turn(requests)
        ordered = turn.ordered
        fixed, grid = self._inner.prepared(ordered, commitments, now_ms)
        fixed += turn.behind
        call = call_of(self._inner.sequential, self._stores, ordered, fixed, grid)
        prepared = None if call is None else self._kernel.prepared(call)
        if call is None or prepared is None:
            answer = self._inner.planned(ordered, fixed, grid)
        else:
            answer = self._best(call, prepared, ordered)
        self._inner.sequential.keep(grid)
        return JointPlan(answer.plans, answer.refused + turn.refused)

    def _best(self, call: Call, prepared: Prepared, ordered: Sequence[Request]) -> JointPlan:
        """First come, first served, or another order if that costs less and keeps the hard limits."""
        model = self._models.model(call)
        first_come = list(range(len(call.requests)))
        inside = sum(self._inner.key(request)[0] == 0 for request in call.requests)
        order = best_order(model, inside, self._welfare)
        same = order == first_come
        behind = np.zeros((len(order), len(order)), dtype=np.int64) if same else decided(model, order)[1]
        planned = self._kernel.planned(prepared, order, behind)
        if not same:
            cost = decided(model, first_come)[0]
            found = value(model, planned.worth, self._welfare)
            if found.cost > cost - SURE_S * len(order) or not _fair(found, self._welfare):
                others = self._kernel.planned(prepared, first_come, np.zeros_like(behind))
                if not _better(found, value(model, others.worth, self._welfare), self._welfare):
                    planned = others
        refused = list(planned.refused)
        able = {request.body.vehicle for request in call.requests}
        for request in ordered:
            if request.body.vehicle not in able:
                reason = self._inner.sequential.outset(request, call.grid)
                refused += [reason] if isinstance(reason, Refusal) else []
        return JointPlan(tuple(planned.plans().values()), tuple(refused))

    def approach(
        self,
        body: Body,
        path_id: str,
        state: tuple[float, float, float],
        *,
        now_ms: int,
        stop_s_m: float,
        leader: Commitment | None,
        guide: TimedPath | None = None,
    ) -> TimedPath:
        """See :class:`planners.interface.JointPlanner`."""
        return self._inner.approach(body, path_id, state, now_ms=now_ms, stop_s_m=stop_s_m, leader=leader, guide=guide)


def _fair(value: Value, welfare: Welfare) -> bool:
    """Whether nobody waits longer than the starvation bound."""
    return max(value.wait_s) <= welfare.starvation_s


def _better(one: Value, first_come: Value, welfare: Welfare) -> bool:
    """Whether it costs less than first come, first served, and nobody waits longer than the hard limit."""
    if one.cost >= first_come.cost:
        return False
    pairs = zip(one.wait_s, first_come.wait_s, strict=True)
    return all(wait <= welfare.wait_limit_s(before) for wait, before in pairs)
