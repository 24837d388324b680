"""Welfare: what a joint plan is worth to the fleet, in plain numbers that a charter holds.

Welfare is minus the sum of the vehicles' *costs*, in seconds of delay of one vehicle, so that planners minimise cost:

    cost = (delay + urgency * u) * d + stops * [stands] + energy * e / 100 J/kg + fairness * w^2 / 60 s

with the delay d (seconds lost against driving on alone, to where the vehicle has cleared the zone, and until it is as
fast again as it would be there), its own urgency u, the kinetic energy e per mass that it brakes away, and its
wait w, from its announcement until it is clear. The starvation bound is no cost but a limit: see
:meth:`Welfare.wait_limit_s`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fleet.errors import PlanError
from planners.zone_map import Floats

REFUSED_S = 120.0
"""A vehicle without a plan costs as much as this delay: more than any wait that is worth making somebody have."""
ENERGY_UNIT = 100.0
"""J/kg: what a car that brakes from 50 km/h to standstill gives up (96)."""
FAIRNESS_S = 30.0
"""A wait of this long makes another second cost as much as a second of delay, at equal weights."""


@dataclass(frozen=True, slots=True)
class Welfare:
    """Weights of the welfare's terms, and its limit. All finite and not negative."""

    delay: float = 1.0
    urgency: float = 0.0
    stops: float = 0.0
    energy: float = 0.0
    fairness: float = 0.0
    starvation_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ("delay", "urgency", "stops", "energy", "fairness", "starvation_s"):
            value = getattr(self, name)
            if not 0.0 <= value < math.inf:
                raise PlanError(f"welfare {name} = {value} must be finite and not negative")

    @staticmethod
    def of_thousandths(weights_milli: Mapping[str, int], starvation_s: float) -> Welfare:
        """From weights in thousandths by name, as charters hold them; a weight that is not named is 0."""
        known = ("delay", "urgency", "stops", "energy", "fairness")
        unknown = sorted(set(weights_milli) - set(known))
        if unknown:
            raise PlanError(f"welfare has no term {unknown[0]!r}; known: {', '.join(known)}")
        return Welfare(**{name: weights_milli.get(name, 0) / 1000.0 for name in known}, starvation_s=starvation_s)

    def cost(self, delay_s: Floats, traits: tuple[Floats, Floats], urgency: float, age_s: float) -> Floats:
        """Costs of one vehicle for each of several ways to go, float64 [way].

        ``traits``: whether it stands (0 or 1) and J/kg braked away. ``age_s``: its wait until it is clear, where
        ``delay_s`` is 0.
        """
        stands, lost = traits
        wait = np.maximum(0.0, age_s + delay_s)
        return np.asarray(
            (self.delay + self.urgency * urgency) * delay_s
            + self.stops * stands
            + self.energy * lost / ENERGY_UNIT
            + self.fairness * (wait * wait - max(0.0, age_s) ** 2) / (2.0 * FAIRNESS_S)
        )

    def wait_limit_s(self, first_come_s: float) -> float:
        """The longest wait until a vehicle is clear: the starvation bound, or what first come, first served would
        ask of it."""
        return max(self.starvation_s, first_come_s)
