"""The fleet's clock at a node: ROS time, watched for steps against a clock that cannot step.

A vehicle whose clock has stepped does not know the time any more, by how much it may be wrong nobody can say:
the error is *unknown* from then on, and the guard lets nothing be signed. Time as the node sees it never goes
back. With ``use_sim_time`` the pace is the simulator's; then only steps back count.
"""

from __future__ import annotations

from collections.abc import Callable

STEP_NS = 10_000_000
"""The protocol's bound on the error of a clock (eps). Slewing (500 ppm) moves a clock by 0.5 ms in a second."""
_ATOMIC_NS = 2_000_000


class WatchedClock:
    """Time in ns for one node.

    Parameters
    ----------
    ros_ns, steady_ns : callable
        The ROS clock, and a monotonic one.
    bound_s : callable
        A bound on the error by the synchronisation (chrony, ptp4l); None: not synchronised.
    simulated : bool
    """

    def __init__(
        self, ros_ns: Callable[[], int], steady_ns: Callable[[], int], bound_s: Callable[[], float | None], *,
        simulated: bool,
    ) -> None:  # fmt: skip
        self._ros_ns, self._steady_ns = ros_ns, steady_ns
        self._bound_s, self._simulated = bound_s, simulated
        self._last_ns = self._latest_ns = ros_ns()
        self._steady_last_ns = steady_ns()
        self.stepped_ns = 0
        """The last step seen; 0: none. Cleared by :meth:`trust`."""

    def now_ns(self) -> int:
        before_ns, ros_ns, steady_ns = self._steady_ns(), self._ros_ns(), self._steady_ns()
        while steady_ns - before_ns > _ATOMIC_NS:  # held up between the two clocks: what they say does not compare
            before_ns, ros_ns, steady_ns = self._steady_ns(), self._ros_ns(), self._steady_ns()
        moved_ns = ros_ns - self._last_ns
        step_ns = moved_ns if self._simulated else moved_ns - (steady_ns - self._steady_last_ns)
        if step_ns < -STEP_NS or (step_ns > STEP_NS and not self._simulated):
            self.stepped_ns = step_ns
        self._last_ns, self._steady_last_ns = ros_ns, steady_ns
        self._latest_ns = max(self._latest_ns, ros_ns)
        return self._latest_ns

    def error_s(self, now_ns: int) -> float | None:
        """A bound on the error now; None: unknown, as after a step."""
        return None if self.stepped_ns else self._bound_s()

    def trust(self) -> None:
        """The operator activates the vehicle anew: the clock counts as it is."""
        self.stepped_ns = 0
        self._last_ns = self._latest_ns = self._ros_ns()
        self._steady_last_ns = self._steady_ns()
