"""L-BFGS: not a rule per minibatch but a search over all parameters with the whole batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.errors import UsageError


@dataclass(frozen=True)
class Lbfgs:
    """Settings of SciPy's L-BFGS-B without bounds (Liu and Nocedal 1989; Zhu et al. 1997).

    Attributes:
        memory: how many past steps approximate the curvature.
        gradient_tolerance: stop when no entry of the gradient is larger.
        loss_tolerance: stop when an iteration lowers the loss by a smaller share of it (where the
            loss is below 1, by a smaller amount).
        line_search: most evaluations of the loss in one iteration.
    """

    memory: int = 10
    gradient_tolerance: float = 1e-6
    loss_tolerance: float = 1e-12
    line_search: int = 20
    name: str = "lbfgs"

    def describe(self) -> dict[str, Any]:
        """Name and settings as plain data."""
        return {
            "optimizer": self.name,
            "memory": self.memory,
            "gradient_tolerance": self.gradient_tolerance,
            "loss_tolerance": self.loss_tolerance,
            "line_search": self.line_search,
        }

    def minimize(
        self,
        objective: Callable[[np.ndarray], tuple[float, np.ndarray]],
        start: np.ndarray,
        iterations: int,
        after: Callable[[np.ndarray], bool],
    ) -> str:
        """Minimise ``objective(vector) -> (value, gradient)`` from ``start``, all float64.

        ``after(vector)`` is called with each accepted iterate; True stops the search.

        Returns:
            Why it ended: "converged" (a tolerance was met), "epochs" (all iterations done, or
            ``after`` said so), or "stalled" (the line search found nothing lower).
        """
        from scipy.optimize import minimize  # here: it takes longer to load than all else

        def callback(vector: np.ndarray) -> None:
            if after(np.array(vector)):
                raise StopIteration

        found = minimize(
            objective,
            start,
            jac=True,
            method="L-BFGS-B",
            callback=callback,
            options={
                "maxiter": iterations,
                "maxcor": self.memory,
                "gtol": self.gradient_tolerance,
                "ftol": self.loss_tolerance,
                "maxls": self.line_search,
                "maxfun": (self.line_search + 1) * (iterations + 1),
            },
        )
        if found.success:
            return "converged"
        # SciPy's statuses: 1 iterations or evaluations used up, 2 line search, 99 the callback.
        return "stalled" if found.status == 2 else "epochs"


def lbfgs(
    memory: int = 10,
    gradient_tolerance: float = 1e-6,
    loss_tolerance: float = 1e-12,
    line_search: int = 20,
) -> Lbfgs:
    """Full-batch L-BFGS by SciPy; in ``fit`` an epoch is an iteration."""
    for name, value in (("memory", memory), ("line_search", line_search)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise UsageError(f"{name} must be an integer of at least 1, not {value!r}")
    for name, number in (
        ("gradient_tolerance", gradient_tolerance),
        ("loss_tolerance", loss_tolerance),
    ):
        if not 0 <= number < np.inf:
            raise UsageError(f"{name} must be finite and at least 0, not {number}")
    return Lbfgs(int(memory), float(gradient_tolerance), float(loss_tolerance), int(line_search))
