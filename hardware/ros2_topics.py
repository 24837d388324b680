"""Names and qualities of service of all topics, in one place.

Relative names are in the vehicle's namespace (``/v1/odom``), so that many vehicles share one graph. All nodes share
one topic for envelopes: every datagram is for everybody, one subscription costs one entry in the wait set whatever
the size of the fleet, and a newcomer is heard without being discovered first.

Deadlines are offered by our publishers and asked for only where both ends are ours: a subscription that asks a
vehicle's driver for a deadline which it does not offer is never matched at all.
"""

from __future__ import annotations

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, HistoryPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy

ENVELOPES = "/fleet/envelopes"
DIAGNOSTICS = "/diagnostics"
ODOMETRY, LOCALISATION, TRACKS = "odom", "localisation", "tracks"
COMMAND, ESTOP, RESET = "command", "estop", "reset"
ESTOP_LATCHED, ESTOP_PRESSED, MANUAL = "estop_latched", "estop_pressed", "manual"
BATTERY, FIRMWARE = "battery", "firmware"
ESTIMATE, PLAN, MARKERS = "estimate", "plan", "markers"

COMMAND_DEADLINE_S = 0.2
"""As the gate's: a command that comes later is a loop that has stalled."""
PEER_LEASE_S = 1.0
"""A writer of envelopes that says nothing for so long, not even that it lives, is lost (failsafe table)."""


def latest(depth: int = 1) -> QoSProfile:
    """Sensors, commands: a lost one is overtaken by the next. Best effort takes from any publisher."""
    return QoSProfile(depth=depth, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT)


def commands() -> QoSProfile:
    profile = latest()
    profile.deadline = Duration(seconds=COMMAND_DEADLINE_S)
    return profile


def envelopes() -> QoSProfile:
    """Best effort, since the protocol repeats what matters and a stale vote is worth nothing."""
    profile = latest(depth=128)
    profile.liveliness, profile.liveliness_lease_duration = LivelinessPolicy.AUTOMATIC, Duration(seconds=PEER_LEASE_S)
    return profile


def stops() -> QoSProfile:
    """Emergency stops are repeated until heard, and acknowledged."""
    return QoSProfile(depth=8, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE)


def standing() -> QoSProfile:
    """States that latecomers must know: the last one is kept for them."""
    return QoSProfile(
        depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )  # fmt: skip
