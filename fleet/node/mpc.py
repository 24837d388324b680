"""Tracking by model prediction: the alternative to the feedback of ``fleet/node/control.py``.

Every tick two quadratic programmes (``planners/refine.py``, needs CasADi) give the commands of the next
``_STEPS`` steps, and the first of each is sent. Both models are discrete, with the actuator's first-order lag:

- lateral: (e, h, d) = lateral error, heading error, front wheel angle. ``e' = v (h - h_slip)``,
  ``h' = v d / (L + K v^2) - v kappa``, ``d' = (u - d) / lag``, with the path's curvature ahead and the
  heading that steady cornering needs because rear tyres slip;
- longitudinal: (x, w, a) = place and speed relative to the plan, acceleration.
  ``x' = w``, ``w' = a - a_plan``, ``a' = (u - a) / lag``, with the plan's acceleration ahead.

Penalised are errors and changes of the command. What the actuators do now is not measured; it is carried
along from the commands sent.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from fleet.node.control import Bend, Reference, Tracker
from hardware.vehicle import Vehicle
from planners.refine import DenseSolver
from planners.refine_problem import Programme

Floats = npt.NDArray[np.float64]

_STEPS = 16
_STEP_S = 0.075
_SPEED_GRID_MPS = 0.25
"""The lateral model is made anew for each such step of speed, and kept."""
_CRAWL_MPS = 0.5
"""Slower than this the lateral model is that of this speed: standing, nothing can be steered."""
_NEAR_M = 0.4
"""A body farther beside its path comes onto it as one this far: the model holds for small angles."""
_ERROR_M, _HEADING_RAD, _STEER_STEP_RAD = 0.05, 0.03, 0.03
_PLACE_M, _SPEED_MPS, _ACCEL_STEP_MPS2 = 0.05, 0.1, 0.6
"""Errors and changes of command per step that cost alike."""


class _Prediction:
    """min sum |error|^2 / scale^2 + |change of u|^2 / scale^2 for x+ = A x + B u + C w, condensed."""

    def __init__(self, a: Floats, b: Floats, c: Floats, scales: Floats, change: float) -> None:
        size = len(a)
        self._free = np.zeros((_STEPS, size, size))
        forced, driven = np.zeros((_STEPS, size, _STEPS)), np.zeros((_STEPS, size, _STEPS))
        power = np.eye(size)
        for k in range(_STEPS):
            if k:
                forced[k], driven[k] = a @ forced[k - 1], a @ driven[k - 1]
            forced[k, :, k], driven[k, :, k] = b, c
            power = a @ power
            self._free[k] = power
        weight = np.where(np.isfinite(scales), 1.0 / scales, 0.0)
        self._forced = (forced * weight[None, :, None]).reshape(-1, _STEPS)
        self._driven = (driven * weight[None, :, None]).reshape(-1, _STEPS)
        self._free_rows = (self._free * weight[None, :, None]).reshape(-1, size)
        self._weight = weight
        steps = (np.eye(_STEPS) - np.eye(_STEPS, k=-1)) / change
        self.hessian: Floats = 2.0 * (self._forced.T @ self._forced + steps.T @ steps)
        self._change = change

    def gradient(self, state: Floats, ahead: Floats, wanted: Floats, before: float) -> Floats:
        """For the state now, the disturbance w ahead [step], wanted states [step, state] and the last command."""
        off = self._free_rows @ state + self._driven @ ahead - (wanted * self._weight).ravel()
        gradient: Floats = 2.0 * (self._forced.T @ off)
        gradient[0] -= 2.0 * before / self._change**2
        return gradient


class PredictiveTracker(Tracker):
    """The controller ``mpc``: same interface as the feedback controller, with state of its own."""

    def __init__(self, vehicle: Vehicle, period_s: float) -> None:
        super().__init__(vehicle, period_s)
        self._lags = vehicle.actuators
        self._period_s = period_s
        self._solver = DenseSolver(_STEPS, 1)
        self._lateral: dict[int, _Prediction] = {}
        hold = 1.0 - math.exp(-_STEP_S / self._lags.accel_lag_s)
        a = np.array([[1.0, _STEP_S, 0.5 * _STEP_S**2], [0.0, 1.0, _STEP_S], [0.0, 0.0, 1.0 - hold]])
        b = np.array([0.0, 0.0, hold])
        c = np.array([-0.5 * _STEP_S**2, -_STEP_S, 0.0])
        self._along = _Prediction(a, b, c, np.array([_PLACE_M, _SPEED_MPS, np.inf]), _ACCEL_STEP_MPS2)
        self._angle = self._angle_sent = self._accel = self._accel_sent = 0.0

    def steer(self, road: Bend, s_m: float, lateral_m: float, heading_error_rad: float, v_mps: float) -> float:
        """See :meth:`fleet.node.control.Tracker.steer`."""
        self._angle += self._done(self._lags.steer_lag_s) * (self._angle_sent - self._angle)
        cell = max(1, round(max(v_mps, _CRAWL_MPS) / _SPEED_GRID_MPS))
        v = cell * _SPEED_GRID_MPS
        if cell not in self._lateral:
            self._lateral[cell] = self._lateral_model(v)
        kappa = np.array([road.curvature(s_m + v * _STEP_S * (k + 0.5)) for k in range(_STEPS)])
        slip = self._rear_slip * v * v * kappa
        wanted = np.stack([np.zeros(_STEPS), slip, np.zeros(_STEPS)], axis=1)
        near = min(max(lateral_m, -_NEAR_M), _NEAR_M)
        state = np.array([near, heading_error_rad, self._angle])
        gradient = self._lateral[cell].gradient(state, kappa, wanted, self._angle_sent)
        self._angle_sent = self._first(self._lateral[cell].hessian, gradient, -self._steer_max, self._steer_max)
        return self._angle_sent

    def accelerate(self, reference: Reference, s_m: float, v_mps: float) -> float:
        """See :meth:`fleet.node.control.Tracker.accelerate`."""
        self._accel += self._done(self._lags.accel_lag_s) * (self._accel_sent - self._accel)
        if reference.plan is None or reference.at_rest_ahead:
            self._accel_sent = super().accelerate(reference, s_m, v_mps)
            return self._accel_sent
        times = reference.now_s + _STEP_S * np.arange(_STEPS + 1)
        speeds = np.array([reference.plan.at(float(t))[1] for t in times])
        planned = np.diff(speeds) / _STEP_S
        state = np.array([s_m - reference.s_m, v_mps - reference.v_mps, self._accel])
        gradient = self._along.gradient(state, planned, np.zeros((_STEPS, 3)), self._accel_sent)
        self._accel_sent = self._first(self._along.hessian, gradient, -self._brake_max, self._accel_max)
        return self._accel_sent

    def _lateral_model(self, v: float) -> _Prediction:
        """The lateral model at speed ``v``; slip is part of what curvature ahead does."""
        hold = 1.0 - math.exp(-_STEP_S / self._lags.steer_lag_s)
        turn = v * _STEP_S / (self._wheelbase + self._understeer * v * v)
        a = np.array([[1.0, v * _STEP_S, 0.5 * v * _STEP_S * turn], [0.0, 1.0, turn], [0.0, 0.0, 1.0 - hold]])
        b = np.array([0.0, 0.0, hold])
        slip = self._rear_slip * v * v
        c = np.array([-v * _STEP_S * slip - 0.5 * (v * _STEP_S) ** 2, -v * _STEP_S, 0.0])
        return _Prediction(a, b, c, np.array([_ERROR_M, _HEADING_RAD, np.inf]), _STEER_STEP_RAD)

    def _done(self, lag_s: float) -> float:
        """Share of the way to its command that an actuator goes in one tick."""
        return 1.0 - math.exp(-self._period_s / lag_s)

    def _first(self, hessian: Floats, gradient: Floats, low: float, high: float) -> float:
        """The first command of the best sequence; the box alone always has one."""
        bounds = np.full(_STEPS, low), np.full(_STEPS, high)
        nothing, free = np.zeros((1, _STEPS)), np.full(1, np.inf)
        found = self._solver.solve(Programme(hessian, gradient, nothing, -free, free, *bounds))
        return float(np.clip(-gradient[0] / hessian[0, 0], low, high) if found is None else found[0])
