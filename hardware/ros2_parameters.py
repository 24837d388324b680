"""The parameters of a vehicle's node, with ranges and descriptions: ``ros2 param describe`` shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Settings:
    control_period_s: float
    mirror_period_s: float
    clock_error_s: float
    autostart: bool
    peers: int


PARAMETERS: tuple[tuple[str, Any, Any, str], ...] = (
    ("control_period_s", 0.02, (0.01, 0.1), "Between two turns, s. Odometry should come at least as often."),
    ("mirror_period_s", 0.2, (0.05, 5.0), "Between two messages for people (estimate, markers), s."),
    ("clock_error_s", 0.0, (0.0, 1.0), "Bound on the clock's error, s (one computer: 0.001). 0: ask the kernel."),
    ("autostart", True, None, "Activate once preflight passes; false: wait for the operator's transition."),
    ("peers", 0, (0, 1000), "How many other nodes preflight must hear before the vehicle may move."),
)  # fmt: skip
"""Name, default, (least, most) and what it is. None of them can be changed while the node runs."""


def declare(node: Any) -> Settings:
    """Declare all on ``node`` and read them; what launch files and ``-p`` say counts."""
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

    values = {}
    for name, default, span, text in PARAMETERS:
        descriptor = ParameterDescriptor(description=text, read_only=True)
        if isinstance(default, float):
            descriptor.floating_point_range = [FloatingPointRange(from_value=span[0], to_value=span[1])]
        elif span is not None:
            descriptor.integer_range = [IntegerRange(from_value=span[0], to_value=span[1])]
        values[name] = node.declare_parameter(name, default, descriptor).value
    return Settings(**values)
