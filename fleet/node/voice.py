"""What a vehicle says of itself that nobody else can measure: how urgent it is, and since when it waits.

The urgency is a bid where the fleet's mechanism has accounts. Whoever builds the node says it: the operator's
dispatch on hardware, the scenario in simulation, where attackers speak with another voice.
"""

from __future__ import annotations


class Voice:
    """Of a vehicle without urgency that says the truth."""

    def urgency_milli(self, zone_id: str, arrived_ms: int) -> int:
        """0 to 1,000, for the zone at which it announced itself at that time; the same during one engagement."""
        return 0

    def arrived_ms(self, zone_id: str, now_ms: int) -> int:
        """Since when it waits, asked once when it announces itself."""
        return now_ms


PLAIN = Voice()
