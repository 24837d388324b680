"""Cost of the worlds, the sensors and the hardware interface: ``python -m tests.sim.measure_worlds``. Not a test.

Prints microseconds per car and internal step, and how many times faster than real time the world alone is
(best of five seconds of simulated time, 0.05 s ticks, garbage collector frozen as the runner does).
"""

from __future__ import annotations

import gc
import time

from hardware.base import Command
from hardware.vehicle import load_vehicle
from sim.bullet_world import BulletWorld
from sim.kinematic_world import KinematicWorld
from sim.vehicle_backend import SensorSuite, SimVehicle

CAR = load_vehicle("car")
TICK_S, TICK_NS = 0.05, 50_000_000


def measure(make: type[BulletWorld] | type[KinematicWorld], count: int) -> str:
    world = make()
    suite, vehicles = SensorSuite(world), []
    for k in range(count):
        # Four approaches of two lanes each, 10 m apart.
        lane, row = 2.0 + 4.0 * (k // 4 % 2), 12.0 + 10.0 * (k // 8)
        x, y, yaw = [(row, lane, 0.0), (-lane, row, 1.5708), (-row, -lane, 3.1416), (lane, -row, -1.5708)][k % 4]
        slot = world.add(CAR, x, y, yaw, 0.0)
        suite.attach(slot, CAR)
        vehicles.append(SimVehicle(suite, slot, CAR, name=str(k)))
        vehicles[-1].gate.configure()
        vehicles[-1].gate.activate()
    clock, now, best = time.perf_counter, 0, [1e9] * 4
    for _ in range(6):
        spent = [0.0] * 4
        for tick in range(20):
            marks = [clock()]
            for vehicle in vehicles:
                vehicle.read(now)
            marks.append(clock())
            for vehicle in vehicles:
                vehicle.perceive(now)
            marks.append(clock())
            command = Command(now, 0.1, 0.3 if tick % 10 < 5 else -0.3)
            for vehicle in vehicles:
                vehicle.write(command, now)
            marks.append(clock())
            world.advance(TICK_S)
            marks.append(clock())
            now += TICK_NS
            spent = [total + end - start for total, start, end in zip(spent, marks, marks[1:], strict=False)]
        best = [min(pair) for pair in zip(best, spent, strict=True)]
    steps = 20 * round(TICK_S / world.step_s)
    read, perceive, write, advance = best
    each = 1e6 / count
    return (
        f"{world.name:10} {count:4} cars: {advance * each / steps:5.2f} us per car and step, {1 / advance:6.0f} x real"
        f" time; read {read * each / 20:.1f} us, write {write * each / 20:.1f} us,"
        f" perception {perceive * 1e2:.2f} ms a look"
    )


if __name__ == "__main__":
    gc.freeze()
    for make in (BulletWorld, KinematicWorld):
        for count in (8, 32, 100):
            print(measure(make, count))
