"""CP-SAT as a process of its own: a line of JSON in, the best order of entry times it proves or finds out.

Run by ``sim/plan_bench_rolling.py`` with OR-Tools on the path; imports nothing of this project.
"""

from __future__ import annotations

import json
import math
import sys
from time import process_time
from typing import Any

_MS = 1000


def solved(model: Any, low: list[float], apart: list[list[float]], leader: list[int], limit_s: float) -> list[float]:
    """Entry times in whole milliseconds, in seconds; their sum is least."""
    count = len(low)
    problem, far = model.CpModel(), round((max(low) + 200.0) * _MS)
    entry = [problem.new_int_var(math.ceil(t * _MS), far, f"t{k}") for k, t in enumerate(low)]
    for i in range(count):
        for j in range(i + 1, count):
            ahead, behind = math.ceil(apart[i][j] * _MS), math.ceil(apart[j][i] * _MS)
            if ahead < 0 and behind < 0:
                continue
            first = problem.new_bool_var(f"b{i}_{j}")
            problem.add(entry[j] >= entry[i] + ahead).only_enforce_if(first)
            problem.add(entry[i] >= entry[j] + behind).only_enforce_if(first.negated())
            k = j
            while k >= 0:
                k = leader[k]
                if k == i:
                    problem.add(first == 1)
    problem.minimize(sum(entry))
    solver = model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.max_time_in_seconds = limit_s
    status = solver.solve(problem)
    if status not in (model.OPTIMAL, model.FEASIBLE):
        raise RuntimeError(f"CP-SAT: {solver.status_name(status)}")
    return [solver.value(t) / _MS for t in entry]


def main() -> None:
    """Answer until the input ends."""
    from ortools.sat.python import cp_model

    for line in sys.stdin:
        asked = json.loads(line)
        began = process_time()
        entry_s = solved(cp_model, asked["low"], asked["apart"], asked["leader"], float(sys.argv[1]))
        sys.stdout.write(json.dumps({"entry_s": entry_s, "seconds": process_time() - began}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
