"""The cases of the conformance suite; importing this module fills ``hardware.conformance.CASES``."""

from __future__ import annotations

import math

from hardware.base import BODY_FRAME, Applied, Command, Health, Lifecycle
from hardware.conformance import (
    CASES,
    NEIGHBOUR_M,
    TICK_S,
    Maker,
    NotPossible,
    Rig,
    case,
    faults_of,
    near,
    pace,
    refused,
    require,
)
from hardware.gate import EMERGENCY_NS, RECOVERY_COUNT, STALE_NS
from hardware.limits import comfort_mps2

__all__ = ["CASES"]


def _gentle(rig: Rig) -> float:
    """An acceleration that no limit touches."""
    limits = rig.spec.limits
    return min(1.0, 0.5 * limits.accel_mps2_plan, 0.9 * limits.jerk_mps3_max * TICK_S * 2.0)


@case
def capabilities_are_known_before_connecting(make: Maker) -> None:
    with make(0.0) as rig:
        known = rig.vehicle.capabilities()
        require(rig.vehicle.lifecycle is Lifecycle.UNCONFIGURED, f"begins {rig.vehicle.lifecycle.value}")
        require(known.backend == rig.backend, f"backend {known.backend}, not {rig.backend}")
        require(known.control_period_s > 0.0, f"control period {known.control_period_s} s")


@case
def the_lifecycle_moves_only_as_drawn(make: Maker) -> None:
    with make(0.0) as rig:
        gate = rig.vehicle.gate
        refused(gate.activate, "activate a vehicle in state unconfigured")
        gate.configure()
        refused(gate.configure, "configure a vehicle in state inactive")
        gate.activate()
        gate.deactivate()
        gate.finalize()
        refused(gate.finalize, "finalize a vehicle in state finalized")
        refused(lambda: rig.write(1.0), "command in state")


@case
def a_command_before_configuring_is_misuse(make: Maker) -> None:
    with make(0.0) as rig:
        refused(lambda: rig.write(1.0), "command in state")


@case
def inactive_answers_but_does_not_drive(make: Maker) -> None:
    with make(0.0) as rig:
        rig.vehicle.gate.configure()
        answer = rig.send(_gentle(rig), ticks=15)
        require("inactive" in answer.limited_by and answer.accel_mps2 > 0.0, f"answered {answer}")
        require(rig.stands, f"moves at {rig.speed} m/s")


@case
def active_drives_what_is_asked(make: Maker) -> None:
    with make(0.0) as rig:
        rig.start()
        rig.tick()
        accel = _gentle(rig)
        rig.send(accel, ticks=5)
        answer = rig.send(accel, ticks=25)
        require(answer == Applied(0.0, accel, ()), f"answered {answer}")
        spare = accel * (rig.lag_s + 0.1 + rig.spec.actuators.accel_lag_s) + 4.0 * rig.spec.sensors.speed_std_mps
        near(rig.speed, accel * 30 * TICK_S, spare, "speed")
        require(rig.state.health is Health.OK, f"health {rig.state.health.value}")


@case
def steering_left_turns_left(make: Maker) -> None:
    with make(0.0) as probe:
        speed = pace(probe.spec, 0.2)
    with make(speed) as rig:
        rig.start()
        begin = rig.state.yaw_rad
        rig.send(0.0, 0.1, ticks=30)
        turned = math.remainder(rig.state.yaw_rad - begin, 2.0 * math.pi)
        wanted = speed * 30 * TICK_S * math.tan(0.1) / rig.spec.body.wheelbase_m
        lag = wanted / (30 * TICK_S) * (rig.lag_s + 0.15 + 2.0 * rig.spec.actuators.steer_lag_s)
        near(turned, wanted, 0.15 * wanted + lag, "turned by")
        near(rig.state.steer_rad, 0.1, 0.01, "steering")


@case
def an_estimate_carries_its_stamp_and_does_not_change_when_read_again(make: Maker) -> None:
    with make(0.0) as rig:
        rig.start()
        rig.send(_gentle(rig), ticks=4)
        state = rig.state
        age_s = (rig.now_ns - state.stamp_ns) * 1e-9
        require(0.0 <= age_s <= rig.lag_s + 1e-9, f"the estimate is {age_s:.3f} s old")
        require(rig.vehicle.read(rig.now_ns) == state, "read again at one time, it differs")
        require(0.0 <= state.position_std_m < math.inf, f"position std {state.position_std_m} m")


@case
def each_limit_acts_and_says_so(make: Maker) -> None:
    with make(0.0) as rig:
        rig.start()
        rig.send(0.0, ticks=2)
        limits = rig.spec.limits
        for accel, steer, reason in (
            (10.0 * limits.accel_mps2_max, 0.0, "accel"),
            (-10.0 * limits.brake_mps2_max, 0.0, "brake"),
            (0.0, 2.0 * limits.steer_rad_max, "steer"),
            (0.0, 0.9 * limits.steer_rad_max, "steer_rate"),
            (0.95 * limits.accel_mps2_max, 0.0, "jerk"),
        ):
            before = rig.driven
            answer = rig.write(accel, steer)
            slow = reason == "jerk" and rig.lag_s > 0.0  # a late tick leaves time to build it up
            require(reason in answer.limited_by or slow, f"{reason}: answered {answer}")
            require(-limits.brake_mps2_max <= answer.accel_mps2 <= limits.accel_mps2_max, f"{reason}: {answer}")
            turned = abs(answer.steer_rad - before.steer_rad)
            rate = limits.steer_rate_radps_max * (TICK_S + rig.lag_s + 0.15)
            require(turned <= rate + 1e-9 and abs(answer.steer_rad) <= limits.steer_rad_max, f"{reason}: {answer}")
            rig.send(0.0, ticks=1)


@case
def lateral_acceleration_and_speed_are_limited(make: Maker) -> None:
    with make(0.0) as probe:
        limits, wheelbase = probe.spec.limits, probe.spec.body.wheelbase_m
    fast = min(0.8 * limits.speed_mps_max, 30.0)
    with make(fast) as rig:
        rig.start()
        answer = rig.send(0.0, limits.steer_rad_max, ticks=12)
        lateral = math.tan(answer.steer_rad) * rig.speed**2 / wheelbase
        require("lateral_accel" in answer.limited_by, f"answered {answer}")
        require(lateral < 1.7 * limits.lateral_accel_mps2_max, f"lateral acceleration {lateral:.2f} m/s2")
    with make(1.02 * limits.speed_mps_max) as rig:
        rig.start()
        answer = rig.send(_gentle(rig))
        require("speed" in answer.limited_by and answer.accel_mps2 <= 0.0, f"above its highest speed: {answer}")


@case
def a_command_that_is_not_finite_brakes(make: Maker) -> None:
    with make(0.0) as probe:
        speed, comfort = pace(probe.spec, 0.3), comfort_mps2(probe.spec)
    for steer, accel in ((math.nan, 0.0), (0.0, math.nan), (math.inf, 0.0), (0.0, -math.inf)):
        with make(speed) as rig:
            rig.start()
            rig.send(0.0, 0.02, ticks=4)
            answer = rig.write(accel, steer)
            require("non_finite" in answer.limited_by and answer.accel_mps2 == -comfort, f"answered {answer}")
            near(answer.steer_rad, 0.02, 1e-6, "held steering")


@case
def a_command_with_an_impossible_stamp_or_frame_is_not_taken(make: Maker) -> None:
    with make(0.0) as probe:
        speed = pace(probe.spec, 0.3)
    for shift_s, frame, reason in (
        (0.1, BODY_FRAME, "future"),
        (-0.5, BODY_FRAME, "stale"),
        (-0.04, BODY_FRAME, "stamp_order"),
        (0.0, "map", "wrong_frame"),
        (0.0, "", "wrong_frame"),
    ):
        with make(speed) as rig:
            rig.start()
            rig.send(-0.1, ticks=4)
            rig.write(-0.1)
            wild = Command(rig.now_ns + round(shift_s * 1e9), 0.2, 3.0, frame_id=frame)
            answer = rig.vehicle.write(wild, rig.now_ns)
            require(reason in answer.limited_by, f"{reason}: answered {answer}")
            require((answer.accel_mps2, answer.steer_rad) == (-0.1, 0.0), f"{reason}: answered {answer}")


@case
def bad_commands_alone_are_no_sign_of_life(make: Maker) -> None:
    with make(0.0) as probe:
        speed, comfort = pace(probe.spec, 0.3), comfort_mps2(probe.spec)
    with make(speed) as rig:
        rig.start()
        rig.send(0.0, ticks=4)
        begun_ns = rig.now_ns
        while rig.driven.accel_mps2 > -comfort:
            require(rig.now_ns - begun_ns < (0.35 + rig.lag_s) * 1e9, "drives on by commands from the future")
            rig.vehicle.write(Command(rig.now_ns + 10**9, 0.0, 1.0), rig.now_ns)
            rig.tick()


@case
def silence_is_a_comfortable_stop_then_an_emergency_stop_with_held_steering(make: Maker) -> None:
    with make(0.0) as probe:
        speed, comfort, limits = pace(probe.spec, 0.4), comfort_mps2(probe.spec), probe.spec.limits
    with make(speed) as rig:
        rig.start()
        rig.send(0.0, 0.02, ticks=10)
        stale_s, sure_s = STALE_NS * 1e-9, (EMERGENCY_NS - STALE_NS) * 1e-9
        took = rig.until(lambda: rig.driven.accel_mps2 == -comfort, stale_s + TICK_S, "comfortable stop")
        require(took > stale_s - 2.0 * TICK_S - rig.lag_s, f"brakes after {took:.2f} s of silence already")
        require(rig.driven.limited_by == ("command_stale",), f"driven {rig.driven}")
        rig.until(lambda: rig.driven.accel_mps2 == -limits.brake_mps2_max, sure_s + TICK_S, "emergency stop")
        near(rig.driven.steer_rad, 0.02, 1e-6, "held steering")
        rig.until(lambda: rig.stands, rig.stop_time_s(comfort), "standstill")


@case
def a_vehicle_that_never_got_a_command_does_not_move(make: Maker) -> None:
    with make(0.0) as rig:
        rig.start()
        rig.tick(20)
        require(rig.stands, f"moves at {rig.speed} m/s")


@case
def after_silence_ten_valid_commands_are_needed(make: Maker) -> None:
    with make(0.0) as probe:
        speed = pace(probe.spec, 0.4)
    with make(speed) as rig:
        rig.start()
        rig.send(0.0, ticks=5)
        rig.until(lambda: rig.driven.limited_by == ("command_stale",), 0.3, "comfortable stop")
        reasons = [rig.send(0.1).limited_by for _ in range(RECOVERY_COUNT + 1)]
        require(reasons[: RECOVERY_COUNT - 1] == [("recovering",)] * (RECOVERY_COUNT - 1), f"answered {reasons}")
        require("recovering" not in reasons[RECOVERY_COUNT - 1], f"answered {reasons}")


@case
def an_emergency_stop_latches_until_an_operator_resets_it_at_standstill(make: Maker) -> None:
    with make(0.0) as probe:
        speed, limits = pace(probe.spec, 0.4), probe.spec.limits
    with make(speed) as rig:
        rig.start()
        rig.send(0.0, ticks=5)
        rig.vehicle.estop("button")
        rig.vehicle.estop("second cause")
        require(rig.vehicle.gate.estop_reason == "button", f"latched: {rig.vehicle.gate.estop_reason}")
        require(not rig.vehicle.reset("operator"), "reset while moving")
        answer = rig.send(2.0, ticks=3)
        require(answer.limited_by == ("estop",) and answer.accel_mps2 == -limits.brake_mps2_max, f"answered {answer}")
        rig.until(lambda: rig.stands, rig.stop_time_s(limits.brake_mps2_max), "standstill", accel=2.0)
        refused(rig.vehicle.gate.activate, "latched")
        refused(lambda: rig.vehicle.reset(""), "operator")
        require(rig.vehicle.reset("operator"), "not reset at standstill")
        require(rig.vehicle.lifecycle is Lifecycle.INACTIVE, f"after a reset: {rig.vehicle.lifecycle.value}")
        rig.send(_gentle(rig), ticks=15)
        require(rig.stands, f"a reset started motion: {rig.speed} m/s")
        rig.vehicle.gate.activate()
        rig.until(lambda: not rig.stands, 1.5, "drives again once activated", accel=_gentle(rig))


@case
def there_is_no_reset_while_the_input_is_held(make: Maker) -> None:
    with make(0.0) as rig:
        rig.start()
        rig.send(0.0)
        gate = rig.vehicle.gate
        gate.press("remote", pressed=True)
        require(gate.estop_reason == "remote" and not rig.vehicle.reset("operator"), "reset with the input held")
        gate.press("remote", pressed=False)
        require(gate.estop_reason == "remote", "letting the input go cleared the stop")
        require(rig.vehicle.reset("operator"), "no reset after the input was let go")


@case
def a_reset_without_a_stop_changes_nothing(make: Maker) -> None:
    with make(0.0) as rig:
        rig.start()
        rig.tick()
        require(not rig.vehicle.reset("operator"), "reset what was not latched")
        require(rig.vehicle.lifecycle is Lifecycle.ACTIVE, f"state {rig.vehicle.lifecycle.value}")


@case
def a_person_wins_within_one_tick_and_autonomy_does_not_come_back_by_itself(make: Maker) -> None:
    with make(0.0) as rig:
        rig.start()
        gate, accel = rig.vehicle.gate, _gentle(rig)
        rig.send(accel, ticks=10)
        gate.take_over("driver")
        require(rig.driven.accel_mps2 <= 0.0, f"autonomy still drives: {rig.driven}")
        answer = rig.write(accel)
        require("manual" in answer.limited_by and answer.accel_mps2 <= 0.0, f"answered {answer}")
        for _ in range(10):
            rig.write(accel)
            by_hand = gate.drive_manually(Command(rig.now_ns, 0.0, -accel), rig.now_ns, rig.speed)
            require(by_hand.accel_mps2 == -accel, f"the person's command became {by_hand}")
            rig.tick()
        rig.until(lambda: rig.stands, 5.0, "a person who lets go gets a stop", accel=accel)
        require(gate.manual_by == "driver", "autonomy came back by itself")
        require(gate.hand_back("driver", rig.speed), "not handed back at standstill")
        rig.send(accel, ticks=10)
        require(rig.stands, "handing back started motion")


@case
def a_failed_vehicle_brakes_to_standstill_and_holds(make: Maker) -> None:
    with make(0.0) as probe:
        speed, limits = pace(probe.spec, 0.4), probe.spec.limits
    with make(speed) as rig:
        rig.start()
        rig.send(0.0, ticks=5)
        rig.vehicle.gate.fail("steering motor")
        require(rig.vehicle.lifecycle is Lifecycle.ERROR, f"state {rig.vehicle.lifecycle.value}")
        rig.until(lambda: rig.stands, rig.stop_time_s(limits.brake_mps2_max), "standstill", accel=2.0)
        require(rig.driven.limited_by == ("steering motor",), f"driven {rig.driven}")


@case
def standstill_is_held_while_nothing_is_wanted(make: Maker) -> None:
    with make(0.0) as rig:
        rig.start()
        before = rig.state
        rig.send(0.0, 0.3, ticks=30)
        moved = math.hypot(rig.state.x_m - before.x_m, rig.state.y_m - before.y_m)
        require(rig.stands and moved < 1e-3 + 6.0 * rig.spec.sensors.position_std_m, f"crept {moved:.3f} m")


@case
def vitals_carry_their_stamp_and_know_or_say_unknown(make: Maker) -> None:
    with make(0.0) as rig:
        rig.tick()
        vitals = rig.vehicle.vitals(rig.now_ns)
        require(0.0 <= (rig.now_ns - vitals.stamp_ns) * 1e-9 <= 1.0 + rig.lag_s, f"stamp {vitals.stamp_ns}")
        require(vitals.battery is None or 0.0 <= vitals.battery <= 1.0, f"battery {vitals.battery}")


@case
def faults_of_localisation_show_as_health_or_as_nothing(make: Maker) -> None:
    with make(0.0) as rig:
        faults = faults_of(rig)
        rig.start()
        rig.send(0.0, ticks=4)
        faults.localisation_frozen = True
        frozen = rig.state
        rig.send(0.0, ticks=4)
        require(rig.state == frozen, "a frozen estimate has changed")
        faults.localisation_frozen = False
        rig.send(0.0, ticks=2)
        require(rig.state.stamp_ns > frozen.stamp_ns, "the estimate is still frozen")
        begin, faults.position_bias_y_m = rig.state.y_m, 2.0
        rig.send(0.0, ticks=2)
        near(rig.state.y_m - begin, 2.0, 0.3, "bias")
        require(rig.state.health is Health.OK, "a bias that nobody is told of shows as health")
        faults.localisation_error = True
        rig.send(0.0, ticks=2)
        require(rig.state.health is Health.ERROR, "health hides an error of localisation")


@case
def others_are_perceived_unless_perception_is_lost(make: Maker) -> None:
    with make(0.0) as rig:
        if not rig.vehicle.capabilities().can_perceive:
            raise NotPossible("the vehicle says that it cannot perceive")
        faults = faults_of(rig)
        rig.start()
        rig.tick(4)
        tracks = rig.vehicle.perceive(rig.now_ns)
        require(len(tracks) == 1, f"{len(tracks)} tracks instead of 1")
        near(tracks[0].x_m, NEIGHBOUR_M, 0.6, "x of the neighbour")
        faults.perception_lost = True
        rig.tick(2)
        require(rig.vehicle.perceive(rig.now_ns) == (), "tracks without perception")
        require(rig.state.health is Health.DEACTIVATE, f"health {rig.state.health.value} without perception")
