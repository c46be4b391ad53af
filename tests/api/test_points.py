"""Transformations at a point that is a mere number, inside others: nothing is lost between them."""

from typing import Any

import numpy as np
import pytest

import chainrule as cr

DERIVATIVES: dict[str, Any] = {
    "grad": cr.grad,
    "value_and_grad": lambda f: lambda x: cr.value_and_grad(f)(x)[1],
    "jacrev": cr.jacrev,
    "jacfwd": cr.jacfwd,
    "jvp": lambda f: lambda x: cr.jvp(f, (x,), (1.0,))[1],
    "vjp": lambda f: lambda x: cr.vjp(f, x)[1](1.0)[0],
    "linearize": lambda f: lambda x: cr.linearize(f, x)[1](1.0),
}
INNER: dict[str, Any] = DERIVATIVES | {
    "vmap": lambda f: lambda x: np.sum(cr.vmap(cr.grad(f))(x * np.ones(2))) / 2,
    "scan": lambda f: lambda x: cr.scan(lambda c, k: (c + cr.grad(f)(k * x), None), 0.0,
                                        np.ones(1))[0],
    "remat": lambda f: cr.remat(cr.grad(f)),
    "jit": lambda f: cr.jit(cr.grad(f)),
}  # fmt: skip
OUTER: dict[str, Any] = DERIVATIVES | {
    "jit": lambda f: lambda s: cr.jit(f)(s) / s,
    "vmap": lambda f: lambda s: cr.vmap(f)(s * np.ones(2))[1] / s,
}


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("outer", OUTER)
def test_a_derivative_at_a_number_inside_another(outer: str, inner: str) -> None:
    for name, middle in DERIVATIVES.items():
        for point, slope in ((0.3, 1.8), (1.0, 6.0), (np.float64(-2.0), -12.0)):

            def f(s: Any, middle: Any = middle, point: Any = point) -> Any:
                return middle(lambda z: s * INNER[inner](lambda q: q**3)(z))(point)

            found = OUTER[outer](f)(2.0)
            np.testing.assert_allclose(found, slope, rtol=1e-14, err_msg=f"{name} at {point}")


@pytest.mark.parametrize("transform", [cr.jit, cr.grad, cr.vmap])
def test_a_derivative_at_a_number_may_branch_and_is_one(transform: Any) -> None:
    def steep(x: Any) -> Any:
        return x**2 if x > 0.2 else -x

    def f(s: Any) -> Any:
        found = [cr.grad(steep)(point) for point in (0.5, 0.1)]
        assert [*map(type, found)] == [float, float]
        inside = cr.grad(lambda z: z * cr.grad(steep)(z))(0.5)
        assert type(inside) is float
        return s * (found[0] if inside > 1 else found[1])

    x = np.ones(2) if transform is cr.vmap else 3.0
    wanted = {cr.jit: 3.0, cr.grad: 1.0, cr.vmap: np.ones(2)}[transform]
    np.testing.assert_array_equal(transform(f)(x), wanted)
