"""One colour and one order for the phases a vehicle goes through, in every picture of a run.

The phase is free text of the node; it is matched by its words, so that ``past_point_of_no_return``
and ``Past the point of no return`` are drawn alike, and an unknown phase is grey, not an error.
"""

from __future__ import annotations

_COLOURS = (
    # words that name the phase, key, colour; the first that fits counts
    (("contact", "crash"), "contact", "#e5484d"),
    (("fallback", "emergency", "estop", "abort", "error"), "fallback", "#d6409f"),
    (("legacy", "unconnected"), "legacy", "#a18072"),
    (("crossing", "no return", "occupying", "inside"), "crossing", "#30a46c"),
    (("clear", "leav", "exit"), "cleared", "#12a594"),
    (("commit",), "committed", "#3e83f5"),
    (("wait", "stop", "hold", "queue"), "waiting", "#f76b15"),
    (("approach", "negotiat", "propos"), "approach", "#f5a524"),
    (("free", "idle", "cruis"), "free", "#8b8fa3"),
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
