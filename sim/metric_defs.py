"""What each metric is called, its unit, and what it means; ``docs/reference/metrics.md`` has the sources.

A name that ends in ``_min`` or ``_max`` is the least or greatest value seen. An *expectation* is such a
name (a bound on that side), any other name (equality), or a name with ``_min`` or ``_max`` put behind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from fleet.errors import ConfigError


@dataclass(frozen=True, slots=True)
class MetricDef:
    """``definition`` is the id in the reference; ``absent_is_safe``: no value means that nothing happened."""

    name: str
    unit: str
    definition: str
    text: str
    group: str = "safety"
    absent_is_safe: bool = False


@dataclass(frozen=True, slots=True)
class Metric:
    """A value of a run; ``value`` is None where the run gave nothing to measure."""

    name: str
    unit: str
    value: float | int | None
    definition: str


_D = MetricDef
DEFINITIONS: tuple[MetricDef, ...] = (
    _D("contacts", "", "contacts/1", "Pairs that touched: seen by the world, or outlines overlapping in the truth log"),
    _D(
        "contacts_caused_by_honest",
        "",
        "contacts-honest/1",
        "Contacts in which an honest vehicle moved and touched with its front",
    ),
    _D("gap_m_min", "m", "gap/1", "Least distance between the true outlines of two vehicles", absent_is_safe=True),
    _D(
        "time_to_collision_s_min",
        "s",
        "ttc/1",
        "Least time to collision with the leader in the lane, both speeds held",
        absent_is_safe=True,
    ),
    _D(
        "post_encroachment_s_min",
        "s",
        "pet/1",
        "Least time between one vehicle leaving a place and a crossing one reaching it",
        absent_is_safe=True,
    ),
    _D(
        "rss_violations",
        "",
        "rss/1",
        "Episodes in which an honest follower was closer than RSS allows (lanes, vehicle-vehicle parameters)",
    ),
    _D("vehicles", "", "vehicles/1", "Vehicles that the run knew", "traffic"),
    _D("finished", "", "finished/1", "Vehicles that left the map at their destination", "traffic"),
    _D("unfinished", "", "finished/1", "Vehicles that did not", "traffic"),
    _D("finished_share", "", "finished/1", "Finished over all", "traffic"),
    _D("mean_delay_s", "s", "delay/1", "Mean delay of the finished vehicles", "traffic"),
    _D("p95_delay_s", "s", "delay/1", "95th percentile of it", "traffic"),
    _D("delay_s_max", "s", "delay/1", "Greatest of it", "traffic"),
    _D(
        "throughput_vph",
        "veh/h",
        "throughput/1",
        "Finished vehicles over the time from the first arrival to the last departure",
        "traffic",
    ),
    _D("stops_per_vehicle", "", "stops/1", "Times that a moving vehicle came to a standstill", "traffic"),
    _D(
        "wait_s_max",
        "s",
        "wait/1",
        "Longest standing time of one vehicle, waiting outside a full arm included",
        "traffic",
    ),
    _D(
        "jain",
        "",
        "jain/1",
        "Jain's index over the mean delays of the approaches; 1 is even",
        "traffic",
        absent_is_safe=True,
    ),
    _D("jerk_mps3_rms", "m/s3", "jerk/1", "Root mean square of the longitudinal jerk", "comfort"),
    _D("jerk_mps3_max", "m/s3", "jerk/1", "Greatest magnitude of it", "comfort"),
    _D(
        "energy_kj_per_km",
        "kJ/km",
        "energy/1",
        "Positive tractive work per distance of a reference car of 1,500 kg",
        "comfort",
    ),
    _D(
        "agreement_latency_s_p50",
        "s",
        "agreement-latency/1",
        "From a proposal to its commit at a member: median",
        "agreement",
    ),
    _D("agreement_latency_s_p99", "s", "agreement-latency/1", "99th percentile of it", "agreement"),
    _D("planning_s_p50", "s", "planning-time/1", "Wall time of one call of the joint planner: median", "agreement"),
    _D("planning_s_p99", "s", "planning-time/1", "99th percentile of it", "agreement"),
    _D("messages", "", "messages/1", "Datagrams sent", "agreement"),
    _D("bytes", "B", "messages/1", "Bytes in them", "agreement"),
    _D("commits", "", "decisions/1", "Commit records in the decision log", "agreement"),
    _D(
        "refusals",
        "",
        "decisions/1",
        "Refusal records: a member, or the coordinator itself, found a proposal unfit",
        "agreement",
    ),
    _D("fallbacks", "", "decisions/1", "Fallback records", "agreement"),
    _D("breaches", "", "decisions/1", "Breach records", "agreement"),
    _D("alarms", "", "alarms/1", "Findings of the group's monitors, a person called for an old one included", "group"),
    _D("gridlocks", "", "alarms/1", "Circles of standing vehicles that wait for each other", "group"),
    _D(
        "gridlock_found_s_max",
        "s",
        "alarms/1",
        "Longest time from the first sight of such a circle to its alarm",
        "group",
        absent_is_safe=True,
    ),
    _D("cases", "", "alarms/1", "Cases for a person", "group"),
    _D("gini", "", "gini/1", "Gini's coefficient of the vehicles' delays; 0 is even", "group", absent_is_safe=True),
    _D(
        "price_of_anarchy",
        "",
        "price/1",
        "Delay at the zones over that by the plans of greatest welfare, in the last window that had enough to tell",
        "group",
        absent_is_safe=True,
    ),
    _D(
        "urgency_weighted_delay_s",
        "s",
        "urgency-delay/1",
        "Mean delay, a vehicle of full urgency counting ten times; who has not left counts until the end",
        "traffic",
    ),
    _D(
        "karma_drift",
        "",
        "karma/1",
        "Units of karma made or lost between the first and the last accounts, or by a settlement that does not add up",
        "agreement",
        absent_is_safe=True,
    ),
    _D(
        "karma_gini",
        "",
        "karma/1",
        "Gini's coefficient of the accounts at the end; 0 is even",
        "agreement",
        absent_is_safe=True,
    ),
    _D("settlements", "", "karma/1", "Receipts that both sides signed", "agreement"),
    _D(
        "mechanism_fallbacks",
        "",
        "decisions/1",
        "Times that first come, first served stood in for the mechanism",
        "agreement",
    ),
    _D("simulated_s", "s", "speed/1", "Simulated time", "speed"),
    _D("wall_s", "s", "speed/1", "Wall time of the simulation, without reading and reporting", "speed"),
    _D("real_time_factor", "", "speed/1", "Simulated over wall time", "speed"),
)

BY_NAME: Mapping[str, MetricDef] = {definition.name: definition for definition in DEFINITIONS}
EXPECTATION_NAMES: frozenset[str] = frozenset(BY_NAME) | frozenset(
    name + side for name in BY_NAME if not name.endswith(("_min", "_max")) for side in ("_min", "_max")
)


@dataclass(frozen=True, slots=True)
class Expectation:
    """One check of a run: ``value`` against ``bound``; ``text`` says it in one line."""

    name: str
    metric: str
    bound: float | int | str
    value: float | int | None
    met: bool

    @property
    def text(self) -> str:
        sign = ">=" if self.name.endswith("_min") else "<=" if self.name.endswith("_max") else "="
        unit = BY_NAME[self.metric].unit
        shown = "not measured" if self.value is None else f"{self.value:.6g}{' ' + unit if unit else ''}"
        return f"{self.metric} is {shown}, expected {sign} {self.bound}"


def validate_expectations(names: Sequence[str], *, source: str) -> None:
    """Refuse names that no metric answers to.

    Raises
    ------
    ConfigError
        A name is unknown; the text names the nearest ones.
    """
    for name in names:
        if name not in EXPECTATION_NAMES:
            near = get_close_matches(name, sorted(EXPECTATION_NAMES), n=3, cutoff=0.0)
            raise ConfigError(
                f"{source}: expectations.{name}: no such metric; nearest: {', '.join(near)}; "
                "all of them: docs/reference/metrics.md"
            )


def check_expectations(
    metrics: Sequence[Metric], expectations: Mapping[str, float | int | str]
) -> tuple[Expectation, ...]:
    """Judge every expectation, in the order given. ``finished: all`` means every vehicle.

    A metric without a value fails, unless its absence means that nothing happened (one vehicle alone has
    no least gap).
    """
    validate_expectations(list(expectations), source="run")
    values = {metric.name: metric.value for metric in metrics}
    return tuple(_judge(name, bound, values) for name, bound in expectations.items())


def _judge(name: str, bound: float | int | str, values: Mapping[str, float | int | None]) -> Expectation:
    metric = name if name in BY_NAME else name[: -len("_min")]
    value = values.get(metric)
    limit = values.get("vehicles") if bound == "all" else bound
    if isinstance(limit, str) or (isinstance(limit, float) and math.isnan(limit)):
        raise ConfigError(f"expectations.{name}: {limit!r} is neither a number nor 'all'")
    if value is None or limit is None:
        met = value is None and BY_NAME[metric].absent_is_safe
    elif name.endswith("_max"):
        met = value <= limit + 1e-9
    elif name.endswith("_min"):
        met = value >= limit - 1e-9
    else:
        met = abs(value - limit) <= 1e-9
    return Expectation(name, metric, bound, value, met)
