"""One colour and one order for the phases a vehicle goes through, in every picture of a run.

The phase is free text of the node; it is matched by its words, so that ``past_point_of_no_return``
and ``Past the point of no return`` are drawn alike, and an unknown phase is grey, not an error.
"""

from __future__ import annotations

_COLOURS = (
    # words that name the phase, key, colour
    (("contact", "crash"), "contact", "#e5484d"),
    (("emergency", "fallback", "estop", "abort", "error"), "fallback", "#d6409f"),
    (("no return", "crossing", "inside", "ponr", "in zone"), "crossing", "#30a46c"),
    (("commit",), "committed", "#3e83f5"),
    (("negotiat", "propos", "vot", "plan", "wait"), "negotiating", "#f5a524"),
    (("stop", "hold", "queue", "blocked"), "stopped", "#f76b15"),
    (("clear", "exit", "done", "left", "leav", "releas"), "leaving", "#12a594"),
    (("legacy", "human", "unconnected"), "legacy", "#8d8d8d"),
    (("idle", "cruis", "approach", "init", "free", "far", "driv"), "idle", "#8b8fa3"),
)
UNKNOWN = ("other", "#9b9ea8")


def phase_class(phase: str) -> tuple[str, str]:
    """(key, colour as ``#rrggbb``) under which ``phase`` is drawn."""
    words = phase.replace("_", " ").replace("-", " ").lower()
    for names, key, colour in _COLOURS:
        if any(name in words for name in names):
            return key, colour
    return UNKNOWN


_RGBA: dict[str, tuple[float, float, float, float]] = {}


def rgba_of(phase: str) -> tuple[float, float, float, float]:
    """The colour with components in 0..1, as ROS and matplotlib take it; remembered per text."""
    rgba = _RGBA.get(phase)
    if rgba is None:
        colour = phase_class(phase)[1]
        red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
        rgba = _RGBA[phase] = (red, green, blue, 1.0)
    return rgba
