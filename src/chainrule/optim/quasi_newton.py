"""L-BFGS: not a rule per minibatch but a search over all parameters with the whole batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from chainrule.core.settings import number, whole
from chainrule.forks import load


@dataclass(frozen=True)
class Lbfgs:
    """SciPy's L-BFGS-B without bounds (Liu and Nocedal 1989; Zhu et al. 1997).

    It looks at the whole batch; in ``fit`` an epoch is an iteration.

    Attributes:
        memory: how many past steps approximate the curvature.
        gradient_tolerance: stop when no entry of the gradient is larger.
        loss_tolerance: stop when an iteration lowers the loss by a smaller share of it (where the
            loss is below 1, by a smaller amount).
        line_search: most evaluations of the loss in one iteration.
        evaluations: most of them in all; None for as many as the iterations may take.

    Raises:
        UsageError: a setting out of its range.
    """

    memory: int = 10
    gradient_tolerance: float = 1e-6
    loss_tolerance: float = 1e-12
    line_search: int = 20
    evaluations: int | None = None
    name: ClassVar[str] = "lbfgs"

    def __post_init__(self) -> None:
        whole("memory", self.memory)
        whole("line_search", self.line_search)
        if self.evaluations is not None:
            whole("evaluations", self.evaluations)
        number("gradient_tolerance", self.gradient_tolerance, at_least=0)
        number("loss_tolerance", self.loss_tolerance, at_least=0)

    def describe(self) -> dict[str, Any]:
        """Name and settings as plain data."""
        return {"optimizer": self.name, **asdict(self)}

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
        minimize = load("scipy.optimize").minimize  # here: it takes longer to load than all else

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
                "maxfun": self.evaluations or (self.line_search + 1) * (iterations + 1),
            },
        )
        if found.success:
            return "converged"
        # SciPy's statuses: 1 iterations or evaluations used up, 2 line search, 99 the callback.
        return "stalled" if found.status == 2 else "epochs"


lbfgs = Lbfgs
