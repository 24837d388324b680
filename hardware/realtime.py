"""Real-time priority for a process that is up: a control loop goes before whatever else the computer does."""

from __future__ import annotations

import contextlib
import os


def take_priority(priority: int | None) -> None:
    """Switch all threads of this process to SCHED_RR; None: leave them as they are.

    Done once a process is loaded, not before: equal priorities take turns of 100 ms, and a process that
    loads would hold up those that drive. Threads of the middleware come along, else they starve.
    """
    if priority is None:
        return
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(ProcessLookupError):
            os.sched_setscheduler(int(thread), os.SCHED_RR, os.sched_param(priority))
