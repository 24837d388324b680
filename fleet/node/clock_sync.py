"""How far off this machine's clock may be, as chrony, ntpd or ptp4l with phc2sys tell the kernel."""

from __future__ import annotations

import ctypes
import sys

_TIME_ERROR = 5
_STA_UNSYNC = 0x40
_PLAUSIBLE_S = 16.0
"""The kernel's value for a clock that nobody disciplines."""


class _Timex(ctypes.Structure):
    """``struct timex`` of Linux, up to what is read here; the rest is room."""

    _fields_ = (
        ("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("freq", ctypes.c_long), ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long), ("status", ctypes.c_int), ("room", ctypes.c_long * 40),
    )  # fmt: skip


def clock_error_s() -> float | None:
    """A bound on the error of the system clock, s; None: not synchronised, or not known on this system."""
    if not sys.platform.startswith("linux"):
        return None
    found = _Timex()  # modes 0: read only
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(found))
    except (AttributeError, OSError):
        return None
    error_s = found.maxerror * 1e-6
    if state < 0 or state == _TIME_ERROR or found.status & _STA_UNSYNC or not 0.0 <= error_s < _PLAUSIBLE_S:
        return None
    return float(error_s)
