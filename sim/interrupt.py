"""Ctrl-C during a run: it is noted, and the loop ends after the step, so that no record is cut in half."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """While entered, the first SIGINT or SIGTERM only sets :attr:`caught`; a second one acts as it always does.

    A signal that is ignored (as in a background job of a shell) stays ignored. Outside the main thread,
    where Python delivers no signals, nothing is ever caught.
    """

    def __init__(self) -> None:
        self.caught: signal.Signals | None = None
        self._previous: dict[signal.Signals, Any] = {}

    @property
    def status(self) -> int:
        """Exit status by the shells' convention: 130 after Ctrl-C, 143 after SIGTERM; 0 if nothing came."""
        return 0 if self.caught is None else 128 + int(self.caught)

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._previous[number] = signal.signal(number, self._catch)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _catch(self, number: int, frame: FrameType | None) -> None:
        self.caught = signal.Signals(number)
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()
