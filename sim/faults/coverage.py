"""Which dimensions of the fault model a case has: the rows of the soak's coverage table."""

from __future__ import annotations

from sim.faults.case import CRASH_POINTS, Case, ChannelCase, Fault

_DELAYS_MS = (20, 100, 200, 500)


def dimensions(case: Case) -> tuple[str, ...]:
    """Names with strengths, in a fixed order; a case with none of them is one without faults."""
    found = [f"members {len(case.vehicles) - sum(v.role == 'legacy' for v in case.vehicles):2d}"]
    found += _of_channel(case.channel)
    for fault in case.faults:
        found.append(_of_fault(fault))
    for vehicle in case.vehicles:
        if vehicle.role == "liar":
            found += [f"lie {lie}" for lie in vehicle.lies]
            if vehicle.goes_ms >= 0:
                found.append("liar drives without right")
        elif vehicle.role == "legacy":
            found.append("unconnected, keeps to the rules" if vehicle.looks else "unconnected, drives without right")
    liars = sum(vehicle.role == "liar" for vehicle in case.vehicles)
    if liars:
        found.append(f"liars {liars} of {liars + len(case.honest)}")
    drift = max((abs(vehicle.drift_ppm) for vehicle in case.honest), default=0)
    if drift:
        found.append(f"clock drift to {'50' if drift <= 50 else '200'} ppm")
    if case.real_keys:
        found.append("Ed25519")
    return tuple(sorted(set(found)))


def _of_channel(channel: ChannelCase) -> list[str]:
    found = []
    if channel.loss:
        kind = "bursts" if channel.burst > 1.0 else "independent"
        found.append(f"loss {channel.loss:.0%} {kind}")
    if channel.spread_ms:
        found.append("reordering")
    longest_ms = channel.delay_ms + channel.spread_ms
    found.append(f"delay to {next(ms for ms in _DELAYS_MS if longest_ms <= ms)} ms")
    if channel.tail:
        found.append(f"delay tail {channel.tail_ms} ms")
    if channel.duplicate:
        found.append(f"duplicates {channel.duplicate:.0%}")
    return found


def _of_fault(fault: Fault) -> str:
    if fault.kind == "crash":
        return f"crash {CRASH_POINTS[fault.amount]}"
    if fault.kind == "clock_step":
        return f"clock_step {abs(fault.amount)} ms"
    short = "to 0.5 s" if fault.for_ms <= 500 else "to 2 s" if fault.for_ms <= 2_000 else "above 2 s"
    return f"{fault.kind} {short}"
