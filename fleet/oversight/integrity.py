"""Does anybody cheat the group, or is anybody left out of it? Equivocation, conservation of accounts, exclusion."""

from __future__ import annotations

from collections.abc import Mapping

from fleet.oversight.findings import CALL_PERSON, FIRST_COME, QUARANTINE_KEY, Finding
from fleet.oversight.snapshot import GroupView

PASSED_OVER_MAX = 6
"""So many that came later from elsewhere may be given a plan before one; two full batches of three."""


class IntegrityMonitor:
    """Accusations with a proof, accounts that do not add up, and members that nobody hears or serves."""

    def __init__(self, thresholds: Mapping[str, int]) -> None:
        self._silence_ms = thresholds["silence_ms"]
        self._accused: dict[str, Finding] = {}
        self._unbalanced_ms = -1

    def look(self, view: GroupView) -> list[Finding]:
        """Accusations stay: a key that lied once is not believed again in this session."""
        for accused in view.accused:
            text = f"{accused.vehicle} signed statements that exclude each other ({accused.kind})"
            finding = Finding("equivocation", (accused.vehicle,), view.now_ms, 1, 0, "proofs", QUARANTINE_KEY, text,
                              accused.evidence)  # fmt: skip
            self._accused.setdefault(accused.vehicle, finding)
        return [*self._accused.values(), *self._accounts(view), *self._exclusion(view)]

    def _accounts(self, view: GroupView) -> list[Finding]:
        accounts = view.accounts
        if accounts is None or accounts.held == accounts.issued:
            self._unbalanced_ms = -1
            return []
        self._unbalanced_ms = view.now_ms if self._unbalanced_ms < 0 else self._unbalanced_ms
        off = abs(accounts.held - accounts.issued)
        text = f"all accounts hold {accounts.held}, but {accounts.issued} were issued"
        return [Finding("conservation", ("accounts",), self._unbalanced_ms, off, 0, "points", FIRST_COME, text)]

    def _exclusion(self, view: GroupView) -> list[Finding]:
        found = []
        for one in view.vehicles:
            if one.unheard_ms + 2 * view.period_ms > self._silence_ms and one.unheard_ms > 0:
                since_ms = view.now_ms - one.unheard_ms
                text = f"{one.vehicle} speaks at {one.zone} and nobody has heard it for {one.unheard_ms} ms"
                figures = one.unheard_ms, self._silence_ms, "ms"
            elif one.passed_over > PASSED_OVER_MAX and not one.holds:
                since_ms = max(0, one.waits_since_ms)
                text = f"{one.passed_over} that came to {one.zone} after {one.vehicle} have been served before it"
                figures = one.passed_over, PASSED_OVER_MAX, "vehicles"
            else:
                continue
            found.append(Finding("exclusion", (one.vehicle,), since_ms, *figures, CALL_PERSON, text))
        return found
