"""Does a string of followers damp what the first one does, or does a touch of its brake grow into a jam?

A follower's law near equilibrium is dv/dt = a (gap - tau v) + b (v_leader - v). Its gain from the leader's speed to
its own, (b s + a) / (s^2 + (b + a tau) s + a), is at most 1 at every frequency exactly where

    a^2 tau^2 + 2 a b tau - 2 a >= 0

(Swaroop and Hedrick 1996; Ge and Orosz 2014, without delay). This is a gate on parameter sets: one that fails it may
not be followed by in this fleet. For the intelligent driver model the three are found at each speed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from fleet.errors import FleetError, invariant
from fleet.oversight.findings import RAISE_HEADWAY, Finding


@dataclass(frozen=True, slots=True)
class Follower:
    """``gap_gain_1ps2`` a, ``speed_gain_1ps`` b and ``headway_s`` tau of a follower; ``name`` says whose."""

    name: str
    gap_gain_1ps2: float
    speed_gain_1ps: float
    headway_s: float

    def __post_init__(self) -> None:
        values = self.gap_gain_1ps2, self.speed_gain_1ps, self.headway_s
        if not all(math.isfinite(value) for value in values) or values[0] <= 0.0 or min(values) < 0.0:
            raise FleetError(
                f"follower {self.name}: gains {values[0]:g} 1/s2, {values[1]:g} 1/s and headway {values[2]:g} s must be"
                " finite and not negative, the first positive"
            )

    @property
    def margin_1ps2(self) -> float:
        """a^2 tau^2 + 2 a b tau - 2 a; at least 0: head-to-tail stable."""
        a, b, tau = self.gap_gain_1ps2, self.speed_gain_1ps, self.headway_s
        return a * a * tau * tau + 2.0 * a * b * tau - 2.0 * a

    def gain(self, omega_1ps: float) -> float:
        """From the leader's speed to its own at one frequency."""
        a, b, tau = self.gap_gain_1ps2, self.speed_gain_1ps, self.headway_s
        s = complex(0.0, omega_1ps)
        return abs((b * s + a) / (s * s + (b + a * tau) * s + a))

    def headway_needed_s(self) -> float:
        """The least headway at which these gains damp: the positive root of the condition in tau."""
        a, b = self.gap_gain_1ps2, self.speed_gain_1ps
        return (-b + math.sqrt(b * b + 2.0 * a)) / a


def intelligent_driver(
    name: str, speed_mps: float, *, limit_mps: float, headway_s: float, standstill_m: float, accel_mps2: float,
    brake_mps2: float,
) -> Follower:  # fmt: skip
    """The intelligent driver model (Treiber 2000) as a follower near equilibrium at ``speed_mps``.

    With S = s0 + v T, G = 1 - (v/v0)^4 and the equilibrium gap s = S / sqrt(G), the derivatives by gap, own speed and
    speed difference give a, b and tau = -f_v / f_s (``f_v`` with the leader's speed held to the own).
    """
    invariant(0.0 < speed_mps < limit_mps, f"equilibrium at {speed_mps} m/s needs a speed below {limit_mps} m/s")
    share = speed_mps / limit_mps
    wanted_m = standstill_m + speed_mps * headway_s
    gap_m = wanted_m / math.sqrt(1.0 - share**4)
    by_gap = 2.0 * accel_mps2 * wanted_m**2 / gap_m**3
    by_speed = accel_mps2 * (4.0 * share**3 / limit_mps + 2.0 * headway_s * wanted_m / gap_m**2)
    by_closing = math.sqrt(accel_mps2 / brake_mps2) * speed_mps * wanted_m / gap_m**2
    return Follower(name, by_gap, by_closing, by_speed / by_gap)


def stability_gate(followers: Iterable[Follower]) -> list[Finding]:
    """One finding for each set that amplifies; the figure is the margin, the threshold 0, in 1e-6 1/s2."""
    found = []
    for one in followers:
        margin = one.margin_1ps2
        if margin < 0.0:
            text = (
                f"{one.name} amplifies what its leader does: margin {margin:.3f} 1/s2 at {one.headway_s:.2f} s headway;"
                f" {one.headway_needed_s():.2f} s damps"
            )
            found.append(
                Finding("string_stability", (one.name,), 0, round(1e6 * margin), 0, "1e-6/s2", RAISE_HEADWAY, text)
            )
    return found
