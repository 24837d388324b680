"""The supervisor: an independent process that brakes the vehicle when its node stalls or dies.

The node starts it (:class:`Link`) and beats with every tick over a socket pair; the supervisor answers each
beat. If the beats stop for 0.2 s, or the socket closes without a goodbye, it brakes through a path of its own
(:class:`BrakePath`), again every 20 ms, and goes on until an operator's reset comes from a living node. After
the node's death it ends once the vehicle itself confirms that its stop is latched.

Paths: ``unix:FILE`` is a datagram socket that the vehicle's process listens to (:class:`BrakeSocket`). Another
middleware brings its own: a module whose main calls :func:`serve` with its BrakePath; ``Link`` starts it when
given its name. This module imports nothing heavy: it is up in some 50 ms, and it must not fail for want of
memory or of a library when it is needed.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from fleet.errors import HardwareError
from hardware.watchdog import LOOP_STALL_S, PACKET_BYTES, Deadline, Kind, Packet, Watch, decode, encode

REPEAT_S = 0.02
START_S = 10.0
"""Starting a process may take this long on a busy machine; nothing moves before it is up."""
_HELD = b"held"


class BrakePath(Protocol):
    """How a supervisor reaches the vehicle, past the node."""

    def brake(self, reason: str) -> None:
        """Latch the vehicle's emergency stop; called again every 20 ms, and must not block."""
        ...

    def held(self) -> bool:
        """Whether the vehicle has confirmed that its stop is latched."""
        ...


class SocketPath:
    """The path ``unix:FILE``: datagrams to the :class:`BrakeSocket` of the vehicle's process."""

    def __init__(self, file: Path) -> None:
        self._file = str(file)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("")  # an address of its own (Linux gives one), so that it can be answered
        self._socket.setblocking(False)
        self._held = False

    def brake(self, reason: str) -> None:
        with contextlib.suppress(OSError):  # the vehicle's process may be down; then its actuators time out
            self._socket.sendto(reason.encode()[:64], self._file)

    def held(self) -> bool:
        with contextlib.suppress(OSError):
            while self._socket.recv(16) == _HELD:
                self._held = True
        return self._held


class BrakeSocket:
    """The vehicle's end of ``unix:FILE``: readable and writable by its owner only."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with contextlib.suppress(FileNotFoundError):
            file.unlink()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        before = os.umask(0o177)
        try:
            self._socket.bind(str(file))
        except OSError as error:
            raise HardwareError(f"{file}: no socket for the supervisor: {error.strerror}") from error
        finally:
            os.umask(before)

    def poll(self) -> str:
        """The reason to brake that has come since the last call, or empty. The asker is told that it is heeded."""
        reason = ""
        with contextlib.suppress(BlockingIOError):
            while True:
                raw, sender = self._socket.recvfrom(64)
                reason = reason or raw.decode(errors="replace") or "supervisor"
                with contextlib.suppress(OSError):
                    self._socket.sendto(_HELD, sender)
        return reason

    def close(self) -> None:
        self._socket.close()
        with contextlib.suppress(FileNotFoundError):
            self._file.unlink()


def serve(link: socket.socket, path: BrakePath, limit_s: float = LOOP_STALL_S) -> None:
    """The supervisor's loop; returns after a goodbye, or when the node is dead and the vehicle held."""
    watch = Watch(limit_s)
    link.setblocking(False)
    _send(link, Packet(Kind.BEAT, 0, time.monotonic_ns()))
    open_link, answered = True, 0
    while not watch.done:
        now_ns = time.monotonic_ns()
        wait_s = REPEAT_S if watch.tripped else min(watch.left_ns(now_ns) * 1e-9 + 1e-3, REPEAT_S)
        if open_link:
            select.select([link], [], [], wait_s)
        else:
            select.select([], [], [], wait_s)
        now_ns = time.monotonic_ns()
        while open_link:
            try:
                raw = link.recv(PACKET_BYTES)
            except BlockingIOError:
                break
            except OSError:
                raw = b""
            if not raw:
                open_link = False
                watch.closed()
                break
            watch.take(raw, now_ns)
            answered += 1
            _send(link, Packet(Kind.HOLDING if watch.tripped else Kind.BEAT, answered, now_ns))
        reason = watch.look(now_ns)
        if reason:
            path.brake(reason)
            if path.held() and not open_link:
                return


class Link:
    """The node's end: starts the supervisor, beats, and knows whether it lives.

    Parameters
    ----------
    path : str
        Passed to the supervisor, such as ``unix:/run/v1/brake``.
    module : str
        The supervisor's module; its main takes ``--fd N --path PATH --limit-s S``.
    limit_s : float
        After so long without a beat it brakes; and without an answer, the node has lost it.
    """

    def __init__(
        self,
        path: str,
        *,
        module: str = "hardware.supervisor",
        limit_s: float = LOOP_STALL_S,
        arguments: Sequence[str] = (),
    ) -> None:
        self._answers = Deadline(limit_s, "answers of the supervisor")
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", module, "--fd", str(theirs.fileno()), "--path", path]
            command += ["--limit-s", repr(limit_s), *arguments]
            # A session of its own: Ctrl-C at the terminal is for the node, which says goodbye when it stands.
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], start_new_session=True)
        self._socket = mine
        self._number = self._reset_number = 0
        self._gone = False
        self.holding = False
        """The supervisor has tripped: it brakes, whatever the node wants."""
        self._socket.settimeout(START_S)
        try:
            up = bool(self._socket.recv(PACKET_BYTES))
        except OSError:
            up = False
        if not up:
            self.close()
            raise HardwareError(f"the supervisor {module} did not start within {START_S:.0f} s; nothing may move")
        self._socket.setblocking(False)

    @property
    def pid(self) -> int:
        return self._process.pid

    def beat(self, now_ns: int) -> None:
        """Once per tick of the node, with the time that :meth:`lost` is asked with."""
        self._say(Kind.BEAT, now_ns)

    def reset(self, now_ns: int) -> None:
        """An operator has reset the vehicle, which stands."""
        self._say(Kind.RESET, now_ns)
        self._reset_number, self.holding = self._number, False

    def lost(self, now_ns: int) -> bool:
        """Whether the supervisor no longer answers: the node must stop its vehicle itself."""
        while not self._gone:
            try:
                packet = decode(self._socket.recv(PACKET_BYTES))
            except BlockingIOError:
                break
            except OSError:
                packet = None
            if packet is None:
                self._gone = True
            else:
                self._answers.heard(now_ns)
                if packet.number >= self._reset_number:  # what it said before a reset is over
                    self.holding = packet.kind is Kind.HOLDING
        return self._gone or self._answers.late(now_ns)

    def goodbye(self, now_ns: int) -> None:
        """The vehicle stands and the node ends."""
        self._say(Kind.GOODBYE, now_ns)
        self.close()

    def close(self) -> None:
        """Let go of it; without a goodbye it brakes, and ends when the vehicle is held."""
        self._socket.close()
        self.ended(0.5)

    def ended(self, seconds: float) -> bool:
        """Whether its process ends within so long."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.poll() is not None

    def _say(self, kind: Kind, now_ns: int) -> None:
        self._number += 1
        _send(self._socket, Packet(kind, self._number, now_ns))


def _send(link: socket.socket, packet: Packet) -> None:
    with contextlib.suppress(OSError):  # a full or closed socket shows as missing answers
        link.send(encode(packet))


def main(arguments: Sequence[str] | None = None) -> None:
    """``python -m hardware.supervisor --fd N --path unix:FILE``; started by a node, not by people."""
    link, path, limit_s = open_link(sys.argv[1:] if arguments is None else arguments)
    kind, _, rest = path.partition(":")
    if kind != "unix" or not rest:
        raise HardwareError(f"--path {path}: unix:FILE is the only kind of this supervisor")
    serve(link, SocketPath(Path(rest)), limit_s)


def open_link(arguments: Sequence[str]) -> tuple[socket.socket, str, float]:
    """(link, path, limit) of a supervisor's command line; signals that end the node's session are ignored."""
    given = dict(zip(arguments[::2], arguments[1::2], strict=False))
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    return socket.socket(fileno=int(given["--fd"])), given["--path"], float(given["--limit-s"])


if __name__ == "__main__":
    main()
