"""Worlds, scenarios, network model, runner, metrics and reports."""
