"""Joint motion planning: maps, zones, conflict geometry, profiles, planners and the verifier."""
