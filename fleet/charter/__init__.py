"""The charter: the shared goals and rules that a fleet has ratified and that every message names."""
