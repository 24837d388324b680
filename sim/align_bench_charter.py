"""Section ``charter`` of the alignment bench: voting, the rulebook, and what a charter costs on the way of a decision.

Figures of votes and rulebooks are exact and the same everywhere; times are CPU times of this machine.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from statistics import median
from time import thread_time_ns

import numpy as np

from fleet.charter.model import default_charter
from fleet.charter.rulebook import arrays, at_least_as_good, choose, closure, compiled, layers
from fleet.charter.voting import aggregate, in_thousandths
from fleet.node.bodies import judged_body
from fleet.node.charter_seat import CharterSeat
from fleet.node.joint_choice import measured
from fleet.protocol.table import Phase
from planners.check_fast import FastVerifier
from planners.interface import Commitment, Request
from planners.rulebook_choice import best_plans
from sim.align_bench import Settings
from sim.plan_bench_refine import Ground, crowd

Ballots = Sequence[Sequence[int]]
Rule = Callable[[Ballots], Sequence[Fraction]]


def mean(ballots: Ballots) -> Sequence[Fraction]:
    """What is refused, and why: the table says it."""
    return [Fraction(sum(column), len(ballots)) for column in zip(*ballots, strict=True)]


RULES: dict[str, Rule] = {
    "utilitarian": lambda ballots: aggregate("utilitarian", ballots),
    "independent_markets": lambda ballots: aggregate("independent_markets", ballots),
    "mean (refused)": mean,
}


def tables(settings: Settings) -> str:
    """All tables of the section."""
    parts = [_lies(settings), _colluders(settings), _rulebooks(settings), _many(settings), _budget(settings)]
    return "\n\n".join(parts)


def _vote(draw: random.Random, values: int) -> list[int]:
    cuts = sorted(draw.randint(0, 1000) for _ in range(values - 1))
    return [b - a for a, b in zip([0, *cuts], [*cuts, 1000], strict=True)]


def _distance(ballot: Sequence[int], outcome: Sequence[Fraction]) -> Fraction:
    return sum((abs(a - b) for a, b in zip(ballot, outcome, strict=True)), Fraction(0))


def profitable(rule: Rule, profiles: int, lies: int, seed: int) -> int:
    """Profiles in which somebody comes nearer to his wish by another ballot than his wish."""
    draw, found = random.Random(seed), 0
    for _ in range(profiles):
        values = draw.randint(2, 5)
        truth = [_vote(draw, values) for _ in range(draw.randint(2, 9))]
        before = [_distance(ballot, rule(truth)) for ballot in truth]
        gained = False
        for _ in range(lies):
            i, lie, share = draw.randrange(len(truth)), _vote(draw, values), Fraction(draw.random())
            if draw.random() < 0.5:
                lie = in_thousandths([a + share * (b - a) for a, b in zip(truth[i], lie, strict=True)])
            gained |= _distance(truth[i], rule([*truth[:i], lie, *truth[i + 1 :]])) < before[i]
        found += gained
    return found


def _lies(settings: Settings) -> str:
    profiles, lies = (30, 40) if settings.quick else (300, 200)
    rows = [f"| rule | profiles with a profitable lie, of {profiles} ({lies} misreports each) |", "| --- | --- |"]
    for name, rule in RULES.items():
        settings.say(f"voting: {name}")
        rows.append(f"| {name} | {profitable(rule, profiles, lies, seed=1)} |")
    return "\n".join(rows)


def _colluders(settings: Settings) -> str:
    """Two of seven put a value to 0 that all want near 0.40, and share it out among the others."""
    draw, profiles = random.Random(7), 30 if settings.quick else 300
    found: dict[str, list[float]] = {name: [] for name in RULES}
    for _ in range(profiles):
        wishes = [_near(draw, 400) for _ in range(7)]
        lies = [[0, first + second, third] for first, second, third in wishes[5:]]
        for name, rule in RULES.items():
            found[name].append(float(rule([*wishes[:5], *lies])[0]) / 1000.0)
    rows = ["| rule | a weight of 0.40 after two of seven have put it to 0 |", "| --- | --- |"]
    rows += [f"| {name} | {sum(values) / len(values):.3f} |" for name, values in found.items()]
    return "\n".join(rows)


def _near(draw: random.Random, first: int) -> list[int]:
    """A ballot of three values, the first within 0.03 of ``first``."""
    value = first + draw.randint(-30, 30)
    second = draw.randint(200, 400)
    return [value, second, 1000 - value - second]


def _rulebooks(settings: Settings) -> str:
    """Transitivity of the pre-order, and what refinement and the compiled choice do to strict preferences."""
    settings.say("rulebooks")
    draw, books = random.Random(11), 100 if settings.quick else 1000
    triples = broken = strict = turned = uncompiled = 0
    for _ in range(books):
        rules = draw.randint(2, 8)
        order = draw.sample(range(rules), rules)
        share = draw.random()
        edges = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :] if draw.random() < share]
        more = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :] if draw.random() < 0.4]
        above, refined = closure(rules, edges), closure(rules, edges + more)
        names = [str(rule) for rule in range(rules)]
        ranks = layers(names, [(names[a], names[b]) for a, b in edges])
        book = arrays(names, [2] * rules, ranks, [draw.randint(1, 9) for _ in names])
        plans = [[draw.choice((0, 0, 1, 2, 3)) for _ in names] for _ in range(6)]
        good = [[at_least_as_good(x, y, above) for y in plans] for x in plans]
        for i, x in enumerate(plans):
            for j, y in enumerate(plans):
                for k in range(len(plans)):
                    triples += 1
                    broken += good[i][j] and good[j][k] and not good[i][k]
                if good[i][j] and not good[j][i]:
                    strict += 1
                    turned += not at_least_as_good(x, y, refined) or at_least_as_good(y, x, refined)
                    uncompiled += choose(book, [y, x]).tied != (1,)
    return (
        f"| random rulebooks | violations |\n| --- | --- |\n| transitivity, {triples} triples | {broken} |\n"
        f"| refinement keeps strict preference, {strict} pairs | {turned} |\n"
        f"| the compiled choice keeps it | {uncompiled} |"
    )


def _many(settings: Settings) -> str:
    """5,000 plans by 14 rules, in numpy; the first ranks tie for most plans, as they do for plans that are safe."""
    draw = np.random.default_rng(5)
    violations = draw.integers(0, 2**20, (14, 5000))
    violations[:4] = draw.random((4, 5000)) < 0.1
    book = arrays([str(k) for k in range(14)], [2] * 14, [0, 1, 2, 3, 4, 5, 5, 5, 5, 5, 6, 6, 6, 6], [1] * 14)
    best = median_us(lambda: best_plans(violations, book.rows), 50 if settings.quick else 1000)
    worst = np.zeros((14, 5000), dtype=np.int64)
    ties = median_us(lambda: best_plans(worst, book.rows), 50 if settings.quick else 200)
    return (
        "| choice among 5,000 plans by 14 rules (numpy) | median us |\n| --- | --- |\n"
        f"| four hard ranks, then weighed | {best:.0f} |\n| all plans equal in all rules | {ties:.0f} |"
    )


class _Said:
    """What a seat needs of an intent."""

    charter_id, stamp_ms, phase = default_charter().charter_id(), 10**9, Phase.APPROACH


def _budget(settings: Settings) -> str:
    """The parts of one decision among 8 vehicles, three candidate joint plans."""
    settings.say("budget")
    count, repeats = 8, 20 if settings.quick else 300
    ground, charter = Ground.four_way(), default_charter()
    requests = crowd(ground, 1, count)
    orders = [requests, [_later(r, 1000 * k) for k, r in enumerate(requests)],
              [_later(r, -1000 * k) for k, r in enumerate(requests)]]  # fmt: skip
    answers = [ground.planner.plan(asked, (), now_ms=0) for asked in orders]
    by_name = {request.body.vehicle: request for request in requests}
    plans = [[(by_name[plan.vehicle], plan) for plan in answer.plans] for answer in answers]
    book, bound_ms = charter.compiled(), 1000 * charter.starvation_bound_s
    rows = [[0] * len(book.names) for _ in plans]

    def clear_mm(request: Request) -> int:
        passage = ground.zone_map.passages[request.approach.path_id][0]
        return round(1000.0 * (passage.exit_s_m + request.body.footprint.rear_m))

    def weigh() -> None:
        for row, one in zip(rows, plans, strict=True):
            found = measured(one, requests, clear_mm, 0, bound_ms)
            row[:] = [found.get(name, 0) for name in book.names]

    seat = CharterSeat("a", (charter,), lambda now_ms, kind, detail: None)
    heard = {f"v{k}": _Said() for k in range(count - 1)}
    judge = FastVerifier(ground.zone_map)
    batch = [Commitment(judged_body(request.body), plan) for request, plan in plans[0]]
    parts = {
        "charter check: seat, 7 peers": lambda: seat.tick(5, heard, free=True, standing=False),  # type: ignore[arg-type]
        "violations of three joint plans": weigh,
        "choice among them": lambda: choose(book, rows),
    }
    times = {name: median_us(job, repeats) for name, job in parts.items()}
    times["sum: charter check and rulebook choice"] = sum(times.values())
    others = {
        "beside it: the verifier on one joint plan": lambda: judge.joint(batch, (), from_ms=0),
        "beside it: one more candidate, planned": lambda: ground.planner.plan(orders[1], (), now_ms=0),
        "offline: compiling a charter's rulebook": lambda: compiled(charter.rulebook, charter.weights_milli),
    }
    times |= {name: median_us(job, min(repeats, 30)) for name, job in others.items()}
    rows_out = ["| 8 vehicles, one decision | median us |", "| --- | --- |"]
    return "\n".join([*rows_out, *(f"| {name} | {value:.0f} |" for name, value in times.items())])


def _later(request: Request, by_ms: int) -> Request:
    return replace(request, arrived_ms=request.arrived_ms + by_ms)


def median_us(job: Callable[[], object], repeats: int) -> float:
    """CPU time of one call, after three to warm up."""
    for _ in range(3):
        job()
    samples = []
    for _ in range(repeats):
        began = thread_time_ns()
        job()
        samples.append((thread_time_ns() - began) * 1e-3)
    return median(samples)
