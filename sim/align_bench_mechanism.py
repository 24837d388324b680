"""The section ``mechanism`` of ``fleet bench alignment``: every figure beside its gate.

Runs are of the project's own simulator, with all that vehicles do; games are those of ``fleet mechanism verify``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import product
from pathlib import Path
from time import process_time

import numpy as np

from fleet.mechanism.equilibrium import REFERENCE, Equilibrium, Population, long_run_cost, overbidding, solve
from fleet.mechanism.game import FLEET, SELFISH, Game
from fleet.mechanism.interface import Claim, Situation
from fleet.mechanism.properties import MEETINGS, PROPERTIES
from fleet.mechanism.registry import BUILT_IN, guarded
from fleet.mechanism.suite import verify
from sim.align_bench import Settings
from sim.demand import chance
from sim.mechanism_metrics import weighted_delay_s
from sim.run_folder import RunFolder, VehicleRecord
from sim.runner import RunOptions, run
from sim.scenario import load_scenario

ANARCHY_OFF_MIN, ANARCHY_ON_MAX = 1.3, 1.1
HARM_ON_MAX = 0.05
CHOICE_MS_MAX = 1.0
"""Of the 3 ms that charter, mechanism and rulebook have together for 8 vehicles."""
POPULATIONS = {
    "half urgent, the others do not mind (reference)": REFERENCE,
    "half urgent, 10 to 1": Population((1.0, 10.0), (0.5, 0.5)),
    "a fifth urgent, 10 to 1": Population((1.0, 10.0), (0.8, 0.2)),
    "reference, more patient": replace(REFERENCE, alpha=0.98),
    "reference, bids of 0 or 1 only": replace(REFERENCE, bid_max=1, balance_max=24),
}
ATTACKS = ("overbidder", "whitewasher", "late_arrival_liar")
WAVES, WAVE_S, SPREAD_S = 3, 45.0, 1.5
"""Eight vehicles, two of each arm, come within so short a time that somebody has to wait; then the place empties.
Plans keep 2.5 s between vehicles that cross: who goes first then matters for seconds, not for tenths. Planner
``first_come`` takes the order as it is; ``welfare`` mixes it with its own, and its luck hides the mechanism's share.
In a steady queue a vehicle's place is decided by who stands in front of it, whatever its urgency."""
_SCENARIO = """\
name: {name}
map: {{builtin: four_way, lanes: 2, arm_m: 150}}
demand:
  vehicles:
{vehicles}
world: kinematic
planner: first_come
spacing: {{crossing_s: 2.5, headway_s: 1.5}}
mechanism: {mechanism}
claims: {claims}
urgency: [{{share: 0.25}}]
attackers: [{attackers}]
seed: {seed}
duration_s_max: 600
expectations: {{contacts: 0, finished: all}}
"""


@dataclass(frozen=True, slots=True)
class Drive:
    """One run."""

    vehicles: tuple[VehicleRecord, ...]
    metrics: Mapping[str, float | int | None]
    sim_s: float

    def weighted_s(self, names: frozenset[str] | None = None) -> float:
        """Urgency-weighted mean delay of those named, or of all."""
        chosen = [one for one in self.vehicles if names is None or one.id in names]
        return weighted_delay_s(chosen, self.sim_s) or 0.0


def section(settings: Settings) -> str:
    """All tables."""
    parts = [equilibria(settings), promises(settings), choice_times()]
    parts += [anarchy(settings), attacks(settings)]
    return "\n\n".join(parts)


def equilibria(settings: Settings) -> str:
    """Karma by population: the gate holds at every patience of 0.95 and more with bids of 0 to 10."""
    lines = [
        "| karma in equilibrium | alpha | gap closed (gate >= 0.95) | exploitability | cost honest"
        " | overbidding (gate >) | fresh identity, bound (gate >) | unbound (must be <) |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, population in POPULATIONS.items():
        settings.say(f"equilibrium: {name}")
        found = solve(population)
        cells = [name, f"{population.alpha:g}", f"{found.gap_closed:.3f}", f"{found.exploitability:.5f}"]
        lines.append("| " + " | ".join(cells + [f"{cost:.3f}" for cost in deviations(found)]) + " |")
    return "\n".join(lines)


def deviations(found: Equilibrium) -> tuple[float, float, float, float]:
    """Costs per meeting: honest, overbidding, with fresh identities that are bound, with ones that are not."""
    greedy = overbidding(found.population)
    fresh = [long_run_cost(found, greedy, reset_to=units) for units in (0, found.population.endowment)]
    return found.cost, long_run_cost(found, greedy), fresh[0], fresh[1]


def promises(settings: Settings) -> str:
    """Every property of every mechanism that ships."""
    reports = []
    for name in BUILT_IN:
        settings.say(f"properties of {name}")
        reports.append(verify(name))
    lines = [
        "| property | " + " | ".join(report.name for report in reports) + " |",
        "| --- |" + " --- |" * len(reports),
    ]
    for key in PROPERTIES:
        cells = []
        for report in reports:
            finding = next(one for one in report.findings if one.name == key)
            figure = "-" if finding.figure is None else f"{finding.figure:.3g}"
            cells.append(f"{report.verdict(finding)} ({figure})")
        lines.append(f"| `{key}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def choice_times(repeats: int = 300) -> str:
    """CPU time of one choice, and of finding what is due, for 8 vehicles."""
    claims = [Claim(f"v{k}", 1_000 * k, f"a{k % 4}", 125 * k, queue=2, balance=10) for k in range(8)]
    situation = Situation.of("z", 1, 20_000, claims)
    lines = [f"| mechanism, 8 vehicles | choice, ms (gate <= {CHOICE_MS_MAX:g}) | dues, ms |", "| --- | --- | --- |"]
    for name in BUILT_IN:
        one = guarded(name)
        one.decide(situation)
        one.dues(situation, "v7")
        times = np.empty((repeats, 2))
        for k in range(repeats):
            began = process_time()
            one.decide(situation)
            middle = process_time()
            one.dues(situation, "v7")
            times[k] = middle - began, process_time() - middle
        choice, dues = (1e3 * np.median(times, axis=0)).tolist()
        lines.append(f"| {name} | {choice:.3f} | {dues:.3f} |")
    return "\n".join(lines)


def anarchy(settings: Settings) -> str:
    """Urgency-weighted delay over that of the order by true urgencies."""
    lines = [
        f"| price of anarchy, seed | by true urgencies, s | selfish, no mechanism (gate > {ANARCHY_OFF_MIN}) |"
        f" karma (gate <= {ANARCHY_ON_MAX}) | karma units made or lost |",
        "| --- | --- | --- | --- | --- |",
    ]
    selfish = Game(guarded("stated"), strategies=dict.fromkeys(range(FLEET), SELFISH)).meetings(MEETINGS).anarchy
    played = Game(guarded("karma")).meetings(MEETINGS)
    lines.append(f"| meetings in pairs (game) | 1 | {selfish:.2f} | {played.anarchy:.2f} | {played.drift} |")
    totals = np.zeros(3)
    for seed in _seeds(settings):
        truth = drive(settings, seed, mechanism="stated", claims="truth")
        lied = drive(settings, seed, mechanism="stated", claims="selfish")
        karma = drive(settings, seed, mechanism="karma")
        costs = np.array([one.weighted_s() for one in (truth, lied, karma)])
        totals += costs
        drift = karma.metrics["karma_drift"]
        lines.append(f"| {seed} | {costs[0]:.2f} | {costs[1] / costs[0]:.2f} | {costs[2] / costs[0]:.2f} | {drift} |")
    off, on = totals[1:] / totals[0]
    return "\n".join([*lines, f"| all | {totals[0] / len(_seeds(settings)):.2f} | **{off:.2f}** | **{on:.2f}** | |"])


def attacks(settings: Settings) -> str:
    """Each attack twice: what it costs the honest, what it brings the attackers, and contacts."""
    lines = [
        "| attack, by a tenth | defence | cost to the honest"
        f" (gate on <= {HARM_ON_MAX:+.0%}) | cost of the attackers | contacts by honest vehicles (gate 0) |",
        "| --- | --- | --- | --- | --- |",
    ]
    for kind in ATTACKS:
        rows = {defence: attack(settings, kind, defence) for defence in (False, True)}
        for defence, (harm, own, contacts) in rows.items():
            lines.append(f"| {kind} | {'on' if defence else 'off'} | {harm:+.1%} | {own:+.1%} | {contacts} |")
    return "\n".join(lines)


def attack(settings: Settings, kind: str, defence: bool) -> tuple[float, float, int]:
    """(change of the honest vehicles' weighted delay, that of the attackers', contacts by honest vehicles)."""
    before, after = np.zeros(2), np.zeros(2)
    contacts = 0
    entry = f"{{kind: {kind}, share: 0.1, defence: {'true' if defence else 'false'}}}"
    for seed in _seeds(settings):
        attacked = drive(settings, seed, mechanism="karma", attackers=entry)
        plain = drive(settings, seed, mechanism="karma")
        bad = frozenset(one.id for one in attacked.vehicles if one.role == kind)
        good = frozenset(one.id for one in attacked.vehicles) - bad
        before += [plain.weighted_s(good), plain.weighted_s(bad)]
        after += [attacked.weighted_s(good), attacked.weighted_s(bad)]
        contacts += int(attacked.metrics["contacts_caused_by_honest"] or 0)
    change = after / before - 1.0
    return float(change[0]), float(change[1]), contacts


def drive(
    settings: Settings, seed: int, *, mechanism: str, claims: str = "policy", attackers: str = ""
) -> Drive:  # fmt: skip
    """One run, or what it left in the folder of runs."""
    waves = 1 if settings.quick else WAVES
    digest = blake2b(attackers.encode(), digest_size=4).hexdigest() if attackers else "plain"
    name = f"{mechanism}_{claims}_{waves}_{seed}_{digest}"
    folder = settings.out / "mechanism" / name
    if not (folder / "metrics.json").is_file():
        settings.say(f"run {name}")
        folder.mkdir(parents=True, exist_ok=True)
        file = settings.out / "mechanism" / f"{name}.yaml"
        text = _SCENARIO.format(
            name=name,
            vehicles=_vehicles(seed, waves),
            mechanism=mechanism,
            claims=claims,
            attackers=attackers,
            seed=seed,
        )
        file.write_text(text, encoding="utf-8")
        run(load_scenario(str(file)), folder, RunOptions(folder, progress=False, mcap=False))
    return _read(folder)


def _vehicles(seed: int, waves: int) -> str:
    lines = []
    for wave, arm, movement in product(range(waves), "NESW", ("left", "straight")):
        name = f"w{wave}{arm}{movement[0]}"
        at_s = round(wave * WAVE_S + SPREAD_S * chance(seed, "wave", name), 2)
        lines.append(f"    - {{id: {name}, approach: {arm}, movement: {movement}, arrival_s: {at_s}}}")
    return "\n".join(lines)


def _read(folder: Path) -> Drive:
    from sim.run_folder import METRICS, read_json

    found = RunFolder.load(folder)
    metrics = {row["name"]: row["value"] for row in read_json(folder / METRICS)}
    return Drive(found.vehicles, metrics, float(found.manifest["sim_s"]))


def _seeds(settings: Settings) -> Sequence[int]:
    return (1,) if settings.quick else (1, 2, 3)
