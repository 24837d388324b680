"""RSS safe longitudinal distance between vehicles that keep verified commitments.

Shalev-Shwartz, Shammah, Shashua: On a formal model of safe and scalable self-driving cars (2017),
definition 1, with this project's vehicle-vehicle parameters: both sides react within ``RESPONSE_S``.
"""

from __future__ import annotations

RESPONSE_S = 0.2
LEADER_BRAKE_MPS2 = 8.0
"""The hardest braking that the vehicle ahead is credited with."""


def rss_distance_m(
    v_mps: float, v_lead_mps: float, *, accel_mps2: float, brake_mps2: float, leader_brake_mps2: float,
    response_s: float = RESPONSE_S,
) -> float:  # fmt: skip
    """Bumper-to-bumper distance at which the follower can still always stop behind the leader; at least 0.

    During the response time the follower may accelerate with ``accel_mps2``, then brakes with at least
    ``brake_mps2``; the leader brakes with at most ``leader_brake_mps2``.
    """
    after = v_mps + response_s * accel_mps2
    run = v_mps * response_s + 0.5 * accel_mps2 * response_s**2
    return max(0.0, run + after**2 / (2.0 * brake_mps2) - v_lead_mps**2 / (2.0 * leader_brake_mps2))
