"""What stands behind a ROS 2 node and is not ROS: the guarded vehicle and, while active, the node's driver.

From *configure* on the guard reads the vehicle and beats the supervisor at every turn; from *activate* on a driver
made for the present place commands it. Standing down leaves the guard at work, so that the brakes stay held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fleet.errors import HardwareError
from fleet.node.driver import Node
from hardware.base import Lifecycle, VehicleState
from hardware.black_box import BlackBox
from hardware.guard import Guard
from hardware.limits import STANDSTILL_MPS
from hardware.preflight import Facts
from hardware.realtime import take_priority
from hardware.ros2_clock import WatchedClock
from hardware.ros2_vehicle import Ros2Vehicle
from hardware.supervisor import Link
from hardware.vehicle import Vehicle

STEADY_TURNS = 15
STEADY_GAP_NS = 100_000_000
NodeMaker = Callable[[Guard, VehicleState, int], Node]
"""From the guard, the present state and the time in ms to a driver that is ready for its first tick."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What a crew is given by the command line.

    Attributes
    ----------
    make_node : callable
    start_heart : callable
        Starts the supervisor.
    failed_checks : callable
        From what is known at activation to the names of the preflight's checks that failed.
    keep : callable
        Writes a black box, from its reason and bytes.
    realtime : int, optional
        Priority that the process takes with the vehicle.
    """

    name: str
    vehicle: Vehicle
    make_node: NodeMaker
    start_heart: Callable[[], Link]
    failed_checks: Callable[[Facts], tuple[str, ...]]
    keep: Callable[[str, bytes], None]
    realtime: int | None = None


class Crew:
    """See the module; one vehicle's."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.name, self.vehicle = orders.name, orders.vehicle
        self.guard: Guard | None = None
        self.node: Node | None = None
        self._heart: Link | None = None
        self._hardware: Ros2Vehicle | None = None
        self._clock: WatchedClock | None = None
        self._stood_down = False
        self._next: Node | None = None
        self.trouble = ""
        """Why the vehicle is not under way yet."""
        self._steady, self._last_ns = 0, 0

    def prepare(self, hardware: Ros2Vehicle, clock: WatchedClock) -> None:
        """The topics are open; from now on :meth:`turn` is called."""
        self._hardware, self._clock = hardware, clock
        self._steady, self._last_ns = 0, 0

    @property
    def ready(self) -> str:
        """Empty once the vehicle may be taken under way, else what is being waited for."""
        hardware = self._hardware
        if hardware is None or not hardware.known:
            last = hardware.last_refusal if hardware is not None else ""
            return f"no odometry on /{self.name}/odom: {last or 'nothing has come'}"
        if self._heart is None:
            return f"the loop is not steady yet: {self._steady} of {STEADY_TURNS} turns in a row without a gap"
        return "" if self._steady >= STEADY_TURNS else "the supervisor has just started"

    def board(self, now_ns: int, clock_error_s: float | None, peers: int, wanted: int) -> None:
        """Take the vehicle under way.

        Raises
        ------
        HardwareError
            Not ready, a check failed, or something latched is not cleared.
        """
        waiting, hardware, clock = self.ready, self._hardware, self._clock
        if waiting or hardware is None or clock is None:
            raise HardwareError(waiting)
        if self.guard is None:
            box = BlackBox({"vehicle": self.name, "class": self.vehicle.vehicle_class})
            self.guard = Guard(
                hardware, self.vehicle, clock_error_s=clock.error_s, heart=self._heart, black_box=box,
                keep=self.orders.keep,
            )  # fmt: skip
            self.guard.must_finish = self._must_finish
        guard = self.guard
        state, vitals = guard.read(now_ns), hardware.vitals(now_ns)
        facts = Facts(
            clock_error_s=clock_error_s, position_std_m=state.position_std_m, yaw_std_rad=state.yaw_std_rad,
            state_age_s=(now_ns - state.stamp_ns) * 1e-9,
            estop_released=_released(vitals.estop_pressed, hardware),
            battery=vitals.battery, temperature_c=vitals.temperature_c, firmware=vitals.firmware,
            peers_heard=peers, peers_expected=wanted,
            supervisor_up=self._heart is not None and not self._heart.lost(now_ns),
            speed_mps=state.speed_mps, manual=vitals.manual,
            echo_error_rad=state.steer_rad - guard.hardware.gate.driven.steer_rad,
        )  # fmt: skip
        bad = self.orders.failed_checks(facts)
        if bad:
            raise HardwareError(f"preflight failed: {', '.join(bad)} (fleet preflight says more)")
        self._next = self.orders.make_node(guard, state, now_ns // 1_000_000)
        self._steady = 0
        take_priority(self.orders.realtime)

    def _cast_off(self) -> None:
        """Let commands out, once the vehicle's own watchdog has seen enough of them again."""
        if self._next is None or self.guard is None or self._steady < STEADY_TURNS:
            return
        try:
            self.guard.activate(())
        except HardwareError as error:  # asked again at the next turn: what is not latched passes
            self.trouble = str(error)
            return
        self.node, self._next, self.trouble = self._next, None, ""

    def stand_down(self) -> None:
        """The driver goes; the brakes hold."""
        self.node, self._next, self._stood_down = None, None, True
        if self.guard is not None and self.guard.lifecycle is Lifecycle.ACTIVE:
            self.guard.hardware.gate.deactivate()

    def reset(self, operator: str) -> bool:
        """Clear a latched stop; False if the vehicle moves, its cause is there, or nobody says who asks."""
        vehicle = self.guard or self._hardware
        if vehicle is None or not operator:
            return False
        self.stand_down()
        if self.guard is not None:
            return self.guard.reset(operator)
        return vehicle.reset(operator)

    def leave(self, now_ns: int) -> None:
        """The process ends: a goodbye for the supervisor if the vehicle stands, else it will brake."""
        self.stand_down()
        heart, guard = self._heart, self.guard
        stands = guard is None or abs(guard.read(now_ns).speed_mps) <= STANDSTILL_MPS
        if heart is not None and stands:
            heart.goodbye(now_ns)

    # --- turns

    def turn(self, now_ns: int) -> tuple[bytes, ...]:
        """One turn; returns datagrams to send."""
        if self.node is not None:
            return self._said(self.node.tick(now_ns // 1_000_000, []))
        if self.guard is not None:
            self.guard.read(now_ns)
        if self._hardware is not None:
            self._hardware.drive(now_ns)
            self._settle(now_ns, self._hardware)
            self._cast_off()
        return ()

    def _settle(self, now_ns: int, hardware: Ros2Vehicle) -> None:
        """Start the supervisor once the loop runs evenly: while a process loads, every gap would look like a death."""
        gap_ns, self._last_ns = now_ns - self._last_ns, now_ns
        self._steady = self._steady + 1 if gap_ns <= STEADY_GAP_NS and hardware.known else 0
        if self._heart is not None and self.guard is None:
            self._heart.beat(now_ns)
        elif self._heart is None and self._steady >= STEADY_TURNS:
            self._heart, self._steady = self.orders.start_heart(), 0
            self._last_ns = 0

    def hear(self, now_ns: int, datagrams: list[bytes]) -> tuple[bytes, ...]:
        """Take datagrams and answer them; nothing concerns a vehicle that is not active, or far from any zone."""
        node = self.node
        if node is None or not node.listens:
            return ()
        if self.guard is not None:
            self.guard.note("rx", datagrams)
        return self._said(node.hear(now_ns // 1_000_000, datagrams))

    def _said(self, datagrams: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """For the black box too."""
        if datagrams and self.guard is not None:
            self.guard.note("tx", datagrams)
        return datagrams

    # --- for the mirrors

    @property
    def idle(self) -> bool:
        """Configured, and never taken under way."""
        return self.node is None and self._next is None and not self._stood_down

    @property
    def phase(self) -> str:
        return "inactive" if self.node is None else self.node.phase_name

    @property
    def committed(self) -> bool:
        return self.node is not None and self.node.committed

    @property
    def plan(self) -> object:
        return None if self.node is None else self.node.plan

    def plan_poses(self) -> Iterable[tuple[float, float, float]]:
        """The way ahead that the present plan covers, a pose per metre or so."""
        node = self.node
        if node is None or node.kernel.arrays is None:
            return ()
        first_m, last_m = node.kernel.status.s_m, float(node.kernel.arrays.s_m[-1])
        count = min(200, max(2, int(last_m - first_m)))
        return [node.road.pose(first_m + (last_m - first_m) * k / (count - 1)) for k in range(count)]

    def causes(self) -> tuple[str, ...]:
        """What acts now, by the failsafe table, and a stop that is latched."""
        if self.guard is None:
            return ("unconfigured",)
        held = self.guard.hardware.gate.estop_reason
        stop = f"estop: {held}" if held else ""
        return (*filter(None, (self.trouble, stop)), *self.guard.decision.causes)

    def figures(self) -> dict[str, object]:
        """For diagnostics."""
        node = self.node
        if node is None:
            return {"phase": self.phase}
        stats, counters = node.core.stats, node.counters
        return {
            "phase": self.phase, "decided": stats.decided, "aborts": counters.aborts, "breaches": counters.breaches,
            "fallbacks": counters.fallbacks, "refused_datagrams": dict(stats.refused),
            "quarantined": sorted(node.core.quarantined),
        }  # fmt: skip

    def _must_finish(self) -> bool:
        node = self.node
        return node is not None and node.committed and node.kernel.status.past_no_return


def _released(pressed: bool | None, hardware: Ros2Vehicle) -> bool | None:
    if hardware.gate.estop_reason or hardware.latched:
        return False
    return None if pressed is None else not pressed
