"""The node: one driver loop that wires sensing, agreement, planning, the safety kernel and control."""
