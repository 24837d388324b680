"""Real processes around one vehicle: its node, its supervisor, and the vehicle itself, and what a signal does.

The vehicle's process lives on: it is the actuators. Node and supervisor are those of hardware; the peer's node
lives in the node's process, which does not matter to the vehicle. The node's process is forked, so that a trial
costs no start of an interpreter; the supervisor is started as on hardware.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from hardware.base import Command
from hardware.failsafe import Phase
from hardware.mock import MockVehicle
from hardware.supervisor import BrakeSocket, Link
from hardware.vehicle import Vehicle, load_vehicle
from sim.hil.fleet import NS, PERIOD_MS, GuardedFleet
from sim.hil.trials import EGO, fleet_in
from sim.hil.yard import MockYard

KINDS = ("node", "supervisor")
_COMMAND = struct.Struct("<qdd")
_LIMIT_S = 30.0
ATTEMPTS = 5
BUSY = "the node was stalled by the machine before anything was done"


@dataclass(frozen=True, slots=True)
class Found:
    """What a signal did: empty, or what was wrong; when the brakes came, and when the vehicle stood (s)."""

    wrong: str
    brakes_s: float = 0.0
    stands_s: float = 0.0


class ProcessTrial:
    """One trial: ``kind`` gets ``number`` while its node is in ``phase``."""

    def __init__(self, folder: Path, kind: str, phase: Phase, number: signal.Signals) -> None:
        self.folder, self.kind, self.phase, self.number = folder, kind, phase, number
        self.vehicle: Vehicle = load_vehicle("car")

    def run(self) -> Found:
        """The trial; again, where the machine stalled the node by itself before anything was done to it."""
        for _ in range(ATTEMPTS):
            found = self._attempt()
            if found.wrong != BUSY:
                break
        return found

    def _attempt(self) -> Found:
        """This process is the vehicle: commands come as datagrams, the supervisor's word through its socket."""
        fleet = fleet_in(self.phase, self.vehicle, MockYard)
        if fleet is None:
            return Found("the phase never came")
        if self.phase is Phase.STOPPED:
            fleet.unblock()
        ear = BrakeSocket(self.folder / "brake")
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        node = os.fork()
        if node == 0:
            mine.close()
            _node_process(fleet, theirs, self.folder)
        theirs.close()
        supervisor = int.from_bytes(mine.recv(8), "little")
        try:
            return self._drive(fleet, ear, mine, {"node": node, "supervisor": supervisor}[self.kind])
        finally:
            for pid in (node, supervisor):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            os.waitpid(node, 0)
            mine.close()
            ear.close()

    def _drive(self, fleet: GuardedFleet, ear: BrakeSocket, link: socket.socket, victim: int) -> Found:
        x, y, yaw, speed = fleet.yard.truth(EGO)
        body = MockVehicle(self.vehicle, (x, y, yaw, speed))
        body.gate.configure()
        body.gate.activate()
        comfort, begun = 0.5 * self.vehicle.limits.brake_mps2_max, time.monotonic()
        quiet = begun
        struck = brakes = 0.0
        while time.monotonic() - begun < _LIMIT_S:
            select.select([link], [], [], 0.005)
            now = time.monotonic()
            now_ns = int(now * 1e9)
            body.read(now_ns)
            self._commands(body, link, now_ns)
            reason = ear.poll()
            if reason:
                body.estop(reason)
            driven = body.gate.driven
            if not struck and driven.limited_by:
                if "estop" in driven.limited_by or now - begun > 5.0:
                    return Found(BUSY)
                quiet = now
            if not struck and now - quiet > 0.2:
                os.kill(victim, self.number)
                struck = now
            if struck and not brakes and driven.accel_mps2 <= -0.6 * comfort:
                brakes = now
            if brakes and body.truth[3] == 0.0:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGCONT)
                wrong = "" if self._holds(body, link, ear) else "moved again by itself"
                return Found(wrong, brakes - struck, now - struck)
        return Found(f"after {_LIMIT_S:.0f} s: {body.truth[3]:.2f} m/s, driven {body.gate.driven}")

    def _holds(self, body: MockVehicle, link: socket.socket, ear: BrakeSocket) -> bool:
        """A stopped process goes on now, and must not start anything."""
        end = time.monotonic() + 0.4
        while time.monotonic() < end:
            select.select([link], [], [], 0.005)
            now_ns = time.monotonic_ns()
            body.read(now_ns)
            self._commands(body, link, now_ns)
            reason = ear.poll()
            if reason:
                body.estop(reason)
            if body.truth[3] > 0.0:
                return False
        return True

    def _commands(self, body: MockVehicle, link: socket.socket, now_ns: int) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while raw := link.recv(64, socket.MSG_DONTWAIT):
                if raw == b"estop":
                    body.estop("node")
                elif len(raw) == _COMMAND.size:
                    stamp_ns, steer, accel = _COMMAND.unpack(raw)
                    body.write(Command(stamp_ns, steer, accel), now_ns)


def _node_process(fleet: GuardedFleet, link: socket.socket, folder: Path) -> None:
    """The node's loop in real time; what it drives goes to the vehicle's process. Never returns."""
    heart = Link(f"unix:{folder / 'brake'}")
    link.send(heart.pid.to_bytes(8, "little"))
    due = time.monotonic()
    try:
        while True:
            now_ns = time.monotonic_ns()
            heart.beat(now_ns)
            fleet.members[EGO].heart.dead = heart.lost(now_ns)
            fleet.tick()
            driven = fleet.members[EGO].line.gate.driven
            if "estop" in driven.limited_by:
                link.send(b"estop")
            else:
                link.send(_COMMAND.pack(time.monotonic_ns(), driven.steer_rad, driven.accel_mps2))
            due = max(due + PERIOD_MS * NS * 1e-9, time.monotonic() - 0.1)
            select.select([], [], [], max(0.0, due - time.monotonic()))
    finally:
        os._exit(1)
