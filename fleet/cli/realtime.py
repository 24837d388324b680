"""Real-time scheduling for a control loop, where the operating system lets us have it."""

from __future__ import annotations

import os

import click

from fleet.errors import ConfigError

OPTION = click.option(
    "--realtime", type=click.IntRange(1, 50), metavar="PRIORITY",
    help="Run under SCHED_RR with this priority (1 to 50), before everything that is not real-time.",
)  # fmt: skip


def check_priority(priority: int | None) -> None:
    """Raise :class:`ConfigError` if the system does not let this user have it; None: nothing is asked."""
    if priority is None:
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(priority))
        os.sched_setscheduler(0, *before)
    except OSError as error:
        raise ConfigError(
            f"--realtime {priority}: {error.strerror}; allow it with LimitRTPRIO={priority} in the systemd unit,"
            " or rtprio in /etc/security/limits.conf"
        ) from error


def prefer_sockets() -> None:
    """Let Fast DDS talk over UDP, also within one computer, unless the operator has said otherwise.

    Its shared memory is guarded by locks between processes: one that is killed or starved while it holds such a
    lock holds up all others (60 to 120 ms per message were seen), and vehicles must not wait for each other.
    """
    os.environ.setdefault("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")
