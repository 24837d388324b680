"""Kinds of command messages by the name that a vehicle file gives: the message's class and what fills it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geometry_msgs.msg import Twist, TwistStamped

from fleet.errors import HardwareError
from hardware.ros2_convert import Drive, write_ackermann, write_twist, write_twist_stamped

Writer = Callable[[Drive, int, str, float], Any]
"""From what to drive, its stamp (ns), the base frame and the wheelbase (m) to a message."""


def _ackermann() -> tuple[type, Writer]:
    try:
        from ackermann_msgs.msg import AckermannDriveStamped
    except ImportError as error:
        raise HardwareError(
            "ackermann_msgs is not installed: no wheel of it exists; on a ROS installation:"
            " apt install ros-$ROS_DISTRO-ackermann-msgs, or set ros2.command: twist_stamped"
        ) from error
    return AckermannDriveStamped, write_ackermann


WRITERS: dict[str, Callable[[], tuple[type, Writer]]] = {
    "twist_stamped": lambda: (TwistStamped, write_twist_stamped),
    "twist": lambda: (Twist, write_twist),
    "ackermann": _ackermann,
}
