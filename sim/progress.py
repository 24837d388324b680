"""A progress bar for a run (vehicles that have left, simulated time, how fast it goes) or a soak (seeds)."""

from __future__ import annotations

from time import perf_counter
from types import TracebackType
from typing import Any

_REFRESH_S = 0.2


class Progress:
    """Shows nothing where ``shown`` is false; on a terminal a bar, elsewhere one line per phase."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._lines: Any = None
        self._bar: Any = None
        self._task: Any = None
        self._title = ""
        self._started_s = self._drawn_s = 0.0

    def __enter__(self) -> Progress:
        if self._shown:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn
            from rich.progress import Progress as RichProgress

            console = Console(stderr=True)
            if not console.is_terminal:
                self._lines = console
                return self
            self._bar = RichProgress(
                SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                TextColumn("{task.fields[note]}"), console=console, transient=True,
            )  # fmt: skip
            self._bar.start()
            self._task = self._bar.add_task("", total=None, note="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, what: str) -> None:
        """What goes on now, of unknown length."""
        self._line(what)
        if self._bar is not None:
            self._bar.update(self._task, description=what, total=None, note="")

    def share(self, what: str, done: int, of: int) -> None:
        """``done`` of ``of`` parts of ``what`` are finished."""
        if self._bar is not None:
            self._bar.update(self._task, description=what, total=of, completed=done, note="")

    def start(self, title: str, total: int, unit: str = "vehicles") -> None:
        """The run begins; ``total`` of ``unit`` are to be done."""
        self._started_s = perf_counter()
        self._line(f"{title}: {total} {unit}")
        if self._bar is not None:
            self._bar.update(self._task, description=title, total=total, completed=0, note="")

    def update(self, left: int, sim_s: float) -> None:
        """``left`` vehicles have left at ``sim_s``."""
        rate = sim_s / max(1e-6, perf_counter() - self._started_s)
        self.count(left, f"{sim_s:6.1f} s simulated, {rate:.1f}x real time")

    def count(self, done: int, note: str) -> None:
        """``done`` of the total, and what to say beside the bar."""
        now = perf_counter()
        if self._bar is None or now - self._drawn_s < _REFRESH_S:
            return
        self._drawn_s = now
        self._bar.update(self._task, completed=done, note=note)

    def _line(self, text: str) -> None:
        if self._lines is not None:
            self._lines.print(text, highlight=False, markup=False, soft_wrap=True)
