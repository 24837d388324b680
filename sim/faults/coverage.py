"""Which dimensions of the fault model a case has: the rows of the soak's coverage table."""

from __future__ import annotations

from sim.faults.case import CRASH_POINTS, Case


def dimensions(case: Case) -> tuple[str, ...]:
    """Names in a fixed order; a case with none of them is one without faults."""
    channel = case.channel
    found = [f"members {len(case.vehicles) - sum(v.role == 'legacy' for v in case.vehicles):2d}"]
    if channel.loss:
        kind = "bursts" if channel.burst > 1.0 else "independent"
        found.append(f"loss {channel.loss:.0%} {kind}")
    if channel.spread_ms:
        found.append("reordering")
    if channel.delay_ms + channel.spread_ms > 100:
        found.append("delay above 100 ms")
    if channel.tail:
        found.append(f"delay tail {channel.tail_ms} ms")
    if channel.duplicate:
        found.append("duplicates")
    for fault in case.faults:
        found.append(f"crash {CRASH_POINTS[fault.amount]}" if fault.kind == "crash" else fault.kind)
    for vehicle in case.vehicles:
        if vehicle.role == "liar":
            found += [f"lie {lie}" for lie in vehicle.lies]
            if vehicle.goes_ms >= 0:
                found.append("liar drives without right")
        elif vehicle.role == "legacy":
            found.append("unconnected, keeps to the rules" if vehicle.looks else "unconnected, drives without right")
    if any(vehicle.drift_ppm for vehicle in case.honest):
        found.append("clock drift")
    if case.real_keys:
        found.append("Ed25519")
    return tuple(sorted(set(found)))
