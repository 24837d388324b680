"""Many seeds: over processes, resumable, with a report.

Every seed is a run of its own; its result is one line of JSON, written as soon as it is known, so that an
interrupted soak goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

import fleet.protocol
import sim.faults
from fleet.errors import ConfigError
from sim.faults.coverage import dimensions
from sim.faults.draw import draw
from sim.faults.engine import Engine
from sim.faults.silence import run_variants
from sim.interrupt import Interrupt
from sim.progress import Progress

_LONG = (100_000, 1_000_000)
_CHUNK = 8
"""Seeds handed to a worker at a time."""


class SeedResult(Struct, frozen=True):
    """What one seed gave."""

    seed: int
    profile: str
    events: int
    cpu_s: float
    adopted: int
    by_sight: int
    contacts: int
    """With bodies that had no right to be there; honest vehicles had no part in them."""
    simulated_s: float
    vehicles: int
    digest: str
    counts: dict[str, int]
    dims: tuple[str, ...]
    violations: tuple[tuple[int, str, str], ...] = ()
    variants: int = 0
    code: str = ""
    """Of the sources that it was made with."""


@dataclass(slots=True)
class Report:
    """Sums over seeds."""

    profile: str
    wanted: int = 0
    seeds: int = 0
    events: int = 0
    cpu_s: float = 0.0
    adopted: int = 0
    by_sight: int = 0
    contacts: int = 0
    variants: int = 0
    vehicle_hours: float = 0.0
    status: int = 0
    """Of the shell: 3 where something was violated, 130 where interrupted."""
    counts: Counter[str] = field(default_factory=Counter)
    dims: Counter[str] = field(default_factory=Counter)
    failed: list[SeedResult] = field(default_factory=list)

    def add(self, result: SeedResult) -> None:
        self.seeds += 1
        self.events += result.events
        self.cpu_s += result.cpu_s
        self.adopted += result.adopted
        self.by_sight += result.by_sight
        self.contacts += result.contacts
        self.variants += result.variants
        self.vehicle_hours += result.simulated_s * result.vehicles / 3600.0
        self.counts.update(result.counts)
        self.dims.update(result.dims)
        if result.violations:
            self.failed.append(result)

    @property
    def rate(self) -> float:
        """Events per second of processor time, on one core."""
        return self.events / self.cpu_s if self.cpu_s else 0.0


@dataclass(frozen=True, slots=True)
class Options:
    """What to run."""

    seeds: range
    profile: str = "ci"
    workers: int = 1
    resume: Path | None = None
    variants: int = 0
    """Silence variants of each seed (silence.py)."""
    shown: bool = True


def run_seed(profile: str, seed: int, variants: int = 0) -> SeedResult:
    """One seed from its drawing to its result."""
    began = time.process_time()
    case = draw(seed, profile)
    out = Engine(case).run()
    violations = [(v.t_ms, v.rule, v.text) for v in out.violations]
    events, counts = out.total, dict(out.events)
    if variants and not violations:
        more, events_more = run_variants(case, out.deliveries, variants)
        violations += more
        events += events_more
    return SeedResult(
        seed, profile, events, time.process_time() - began, out.adopted, out.by_sight, out.contacts, out.end_ms * 1e-3,
        len(case.vehicles), out.digest, counts, dimensions(case), tuple(violations), variants, code_digest(),
    )  # fmt: skip


@cache
def code_digest() -> str:
    """Of the protocol's and the simulator's sources: results of other code are not taken for done."""
    whole = hashlib.blake2b(digest_size=8)
    for package in (fleet.protocol, sim.faults):
        for path in sorted(Path(package.__path__[0]).glob("*.py")):
            whole.update(path.read_bytes())
    return whole.hexdigest()


def soak(options: Options) -> Report:
    """Run all seeds that the resume file does not have yet.

    Raises
    ------
    ConfigError
        There is no such profile, or the resume file belongs to another soak.
    """
    draw(0, options.profile)
    known = _known(options)
    report = Report(options.profile, len(options.seeds))
    for result in known:
        report.add(result)
    report.wanted = len(options.seeds)
    done = {result.seed for result in known}
    left = [seed for seed in options.seeds if seed not in done]
    with Interrupt() as interrupt, Progress(options.shown) as progress, ExitStack() as stack:
        file = _open(options.resume)
        if file is not None:
            stack.enter_context(file)
        progress.start(f"soak {options.profile}", len(options.seeds), "seeds")
        for result in _results(options, left):
            report.add(result)
            if file is not None:
                file.write(msgspec.json.encode(result) + b"\n")
                file.flush()
            bad = f", {len(report.failed)} seeds with violations" if report.failed else ""
            progress.count(report.seeds, f"{report.events:.3g} events, {report.rate / 1e3:.0f} k/s of a core{bad}")
            if interrupt.caught is not None:
                break
    report.status = interrupt.status or (3 if report.failed else 0)
    return report


def _results(options: Options, seeds: list[int]) -> Iterator[SeedResult]:
    """In order of seeds, by as many processes as asked for."""
    jobs = [(options.profile, seed, options.variants) for seed in seeds]
    if options.workers == 1:
        yield from (run_seed(*job) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(options.workers, _ignore_interrupt) as pool:
        yield from pool.imap(_run_job, jobs, _CHUNK)


def _run_job(job: tuple[str, int, int]) -> SeedResult:
    return run_seed(*job)


def _ignore_interrupt() -> None:
    """Ctrl-C goes to the whole group; the parent alone decides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _known(options: Options) -> list[SeedResult]:
    path = options.resume
    if path is None or not path.exists():
        return []
    found = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            result = msgspec.json.decode(line, type=SeedResult)
        except msgspec.MsgspecError:
            continue  # a line that an interruption cut short: its seed runs again
        if result.profile != options.profile:
            raise ConfigError(
                f"{path}:{number}: result of profile {result.profile}, wanted is {options.profile}; name another file"
            )
        if result.seed in options.seeds and result.code == code_digest() and result.variants == options.variants:
            found.append(result)
    return found


def _open(path: Path | None) -> IO[bytes] | None:
    """The results file, at its end; a line that an interruption cut short is closed first."""
    if path is None:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("ab+")
    if file.tell():
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.write(b"\n")
    return file


def table(report: Report) -> str:
    """The report as text."""
    bound = 3.0 / report.seeds if report.seeds else 1.0
    lines = [
        f"profile {report.profile}: {report.seeds} of {report.wanted} seeds, {report.events} events, "
        f"{report.rate:,.0f} events/s of a core, {report.vehicle_hours:.2f} vehicle-hours",
        f"commitments {report.adopted}, crossings by sight {report.by_sight}, "
        f"contacts with bodies that had no right {report.contacts}, "
        f"silence variants {report.variants}",
        "events: " + ", ".join(f"{name} {count}" for name, count in report.counts.items() if count),
        "",
        "fault dimension                       seeds",
        *(f"{name:36s} {count:7d}" for name, count in sorted(report.dims.items())),
        "",
        *_verdict(report, bound),
        _outlook(report),
    ]
    return "\n".join(lines)


def _outlook(report: Report) -> str:
    """What a long soak of this profile would take, by the rate of this one."""
    if not report.cpu_s:
        return ""
    hours = [f"{count:,} seeds {count / report.seeds * report.cpu_s / 7200.0:.1f} h" for count in _LONG]
    return f"at this rate, on two cores: {', '.join(hours)}"


def _verdict(report: Report, bound: float) -> Iterable[str]:
    if not report.failed:
        yield f"violations: 0 of {report.seeds} seeds (95 % bound {bound:.2g} a seed)"
        return
    yield f"violations: {len(report.failed)} of {report.seeds} seeds"
    for result in report.failed[:20]:
        t_ms, rule, text = result.violations[0]
        yield f"  {rule} at {t_ms} ms: {text}"
        again = f"fleet soak --seeds {result.seed} --profile {report.profile}"
        yield f"    again: {again}{f' --variants {result.variants}' if result.variants else ''}"
