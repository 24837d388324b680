"""What a vehicle's node is made of, from its fleet's scenario file and its state folder."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from fleet.cli.preflight_facts import from_folder
from fleet.errors import ConfigError
from fleet.node.assembly import Assembly, Berth, past_of
from fleet.node.charter_book import planner_maker
from fleet.node.controllers import CONTROLLERS
from fleet.node.driver import Node
from fleet.node.road import place_on
from fleet.node.state_folder import StateFolder
from fleet.node.stopwatch import Stopwatch
from hardware.base import VehicleState
from hardware.guard import Guard
from hardware.preflight import Facts, failed, judge
from hardware.ros2_bridge import FIRMWARE
from hardware.ros2_crew import Orders
from hardware.supervisor import Link
from sim.scenario import Scenario
from sim.stage import Actor, build_stage
from sim.warm import warm


@contextmanager
def open_orders(scenario: Scenario, vehicle_id: str, state: Path, realtime: int | None = None) -> Iterator[Orders]:
    """Everything that the node of ``vehicle_id`` needs but the vehicle itself.

    Raises
    ------
    ConfigError
        The fleet has no such vehicle; no key, no register, or another node has the folder.
    """
    stage = build_stage(scenario)
    actor = next((one for one in stage.actors if one.vehicle_id == vehicle_id), None)
    if actor is None:
        known = ", ".join(one.vehicle_id for one in stage.actors)
        raise ConfigError(f"no vehicle {vehicle_id!r} in {scenario.name}; it has: {known}")
    with closing(StateFolder(state, lock=True)) as folder, closing(folder.medium()) as medium:
        signer, register = folder.signer(vehicle_id), folder.register(time.time_ns() // 1_000_000)
        mine = register.active.get(vehicle_id)
        if mine is None or mine.public_key != signer.public_key:
            raise ConfigError(f"{state}: the key of {vehicle_id} is not enrolled in keys.json, or no longer counts")
        watch = Stopwatch(time.perf_counter)
        make = planner_maker(scenario.planner, stage.zone_map, stage.conflicts, scenario.spacing.spacing)
        assembly = Assembly(
            stage.zone_map, stage.conflicts, make, register, session=scenario.seed,
            period_s=scenario.control.period_s, watch=watch, controller=CONTROLLERS[scenario.control.controller],
            line=folder.charter(time.time_ns() // 1_000_000),
        )  # fmt: skip
        warm(stage, scenario.planner)

        def note(now_ms: int, kind: str, detail: Mapping[str, object]) -> None:
            click.echo(f"{now_ms} {vehicle_id} {kind} {_short(detail)}", err=True)

        def make_node(guard: Guard, at: VehicleState, now_ms: int) -> Node:
            restored = past_of(medium, vehicle_id, now_ms) if folder.has_past or medium.existed else None
            folder.has_past = True
            start_s_m = place_on(assembly.roads.get(actor.path_id), at.x_m, at.y_m)
            return assembly.node(
                Berth(vehicle_id, actor.vehicle, actor.path_id), guard, signer, medium,
                random.Random(f"{scenario.seed}/{vehicle_id}").randrange, note,
                start_s_m=start_s_m, restored=restored, doubts=guard,
            )  # fmt: skip

        above = () if realtime is None else ("--realtime", str(realtime + 1))
        yield Orders(
            name=vehicle_id,
            vehicle=actor.vehicle,
            make_node=make_node,
            start_heart=lambda: Link(f"ros2:/{vehicle_id}", module="hardware.ros2_supervisor", arguments=above),
            realtime=realtime,
            failed_checks=lambda facts: _failed(facts, actor, folder),
            keep=lambda reason, data: _keep(folder, reason, data),
        )


def _failed(facts: Facts, actor: Actor, folder: StateFolder) -> tuple[str, ...]:
    accepted = folder.accepted()
    real = accepted is None or accepted.firmware != FIRMWARE
    known = from_folder(actor.vehicle, actor.vehicle_id, folder, time.time_ns() // 1_000_000, real=real)
    return failed(judge(replace(facts, **known), actor.vehicle))


def _keep(folder: StateFolder, reason: str, data: bytes) -> None:
    folder.write_black_box(reason, data, time.time_ns() // 1_000_000)


def _short(detail: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={str(value)[:60]}" for key, value in detail.items())
