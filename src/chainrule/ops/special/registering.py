"""How a function of ``scipy.special`` becomes a primitive and a function that users call.

The functions take plain arrays and traced values alike. SciPy is imported when a value is
computed, not on import.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.core.dispatch import SCIPY_UFUNCS
from chainrule.core.node import Primitive
from chainrule.core.rules import Elementwise
from chainrule.core.types import ArrayType
from chainrule.errors import DtypeError, UnsupportedError
from chainrule.forks import load
from chainrule.ops.coerce import (
    apply_float,
    common_float,
    for_scipy,
    in_scipys_loop,
    int_or,
    is_traced,
    plain,
    refuse_complex,
    scipys_dtypes,
)
from chainrule.ops.elementwise import elementwise
from chainrule.ops.samples import Make, points

SQRT_PI = float(np.sqrt(np.pi))
SQRT_2PI = float(np.sqrt(2 * np.pi))
LN10 = float(np.log(10.0))
WIDE = points(-20.0, -1.0, 0.0, 0.5, 1.0, 20.0)
SMALL = points(-2.0, -0.5, 0.0, 0.7, 1.3)
POSITIVE = points(0.3, 1.0, 2.5, 30.0)
LOG_PAIRS = points((0.5, 2.0), (1.5, 0.25), (0.0, 3.0))


def of_scipy(name: str, complex_form: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """``scipy.special.<name>`` found at the first call; ``complex_form`` where SciPy's is real."""

    def forward(*xs: Any) -> Any:
        if complex_form is not None and any(np.iscomplexobj(x) for x in xs):
            return complex_form(*xs)
        return getattr(load("scipy.special"), name)(*xs)

    return forward


def special(
    name: str,
    *partials: Callable[..., Any],
    complex_form: Callable[..., Any] | None = None,
    analytic: bool = False,
    aliases: tuple[str, ...] = (),
    scipy_name: str = "",
    samples: Make = list,
    teaches: str,
    text: str = "",
    latex: str = "",
) -> Callable[..., Any]:
    """Register the primitive of a SciPy ufunc; returns the function that users call."""
    forward = of_scipy(scipy_name or name, complex_form)
    primitive = elementwise(
        name, forward, *partials, samples=samples, teaches=teaches, text=text, latex=latex,
        analytic=analytic,
    )  # fmt: skip
    for alias in (scipy_name or name, *aliases):
        for_scipy(alias, primitive)

    def function(*xs: Any) -> Any:
        if is_traced(*xs):
            return apply_float(primitive, *xs, name=name)
        dtype = common_float(*map(plain, xs))
        return forward(*(np.asarray(x, dtype) for x in xs))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"{teaches} Computed as ``scipy.special.{scipy_name or name}``.\n\n"
        "Args:\n    xs: arrays, numbers or traced values, taken element by element.\n\n"
        "Raises:\n    DtypeError: complex numbers, text, or floats other than 32 or 64 bits wide."
    )
    return function


def float_type(x: ArrayType, **attrs: Any) -> ArrayType:
    if not x.is_float:
        raise DtypeError(f"takes float32 or float64, not {x.dtype}")
    return x


def _moving_parameter(name: str, i: int) -> UnsupportedError:
    argument = f"argument {i + 1} of scipy.special.{name.lstrip('_')}"
    return UnsupportedError(
        f"{argument} depends on what is differentiated or recorded, and there is no recorded "
        "derivative in it: give it as a plain number or array (under jit by static_argnums=), or "
        "state the derivative yourself with cr.custom_gradient"
    )


def of_order(
    name: str,
    forward: Callable[..., Any],
    partial: Callable[..., Any],
    *,
    scipy_name: str = "",
    text: str,
    latex: str,
    teaches: str,
    samples: Make,
) -> Callable[..., Any]:
    """Register a function of fixed orders, or other parameters without a recorded derivative,
    and of x, as the Bessel functions are; returns what users call with ``(order, ..., x)``.
    ``partial(y, x, order)`` is the slope in x; several parameters make one tuple."""

    def run(x: Any, *, order: Any) -> Any:
        refuse_complex(name, x)
        parameters = order if isinstance(order, tuple) else (order,)
        found = forward(*parameters, x)
        return (found if is_traced(found) else np.asarray(found)).astype(x.dtype)

    primitive = Primitive(
        name,
        forward=run,
        infer=float_type,
        rule=Elementwise((partial,)),
        text=text,
        latex=latex,
        teaches=teaches,
        samples=samples,
    )

    def function(*args: Any) -> Any:
        *parameters, x = args
        for i, parameter in enumerate(parameters):
            if is_traced(parameter):
                raise _moving_parameter(scipy_name or name, i)
        if any(map(np.ndim, parameters)):
            return _for_each(function, scipy_name or name, parameters, x)
        numbers: tuple[Any, ...] = tuple(int_or(float(n)) for n in parameters)
        order = numbers[0] if len(numbers) == 1 else numbers
        if is_traced(x):
            x = in_scipys_loop(scipy_name, args)[-1]
            return apply_float(primitive, x, name=name, order=order)
        return run(np.asarray(x, common_float(plain(x))), order=order)

    function.__name__ = function.__qualname__ = name
    if scipy_name:
        SCIPY_UFUNCS[scipy_name] = function
    return function


def _for_each(function: Callable[..., Any], name: str, parameters: Any, x: Any) -> Any:
    """A function of arrays of parameters: called once for each combination of them, with the
    entries of ``x`` that stand beside it."""
    arrays = np.broadcast_arrays(*parameters, np.empty(np.shape(x)))[:-1]
    shape = arrays[0].shape
    entries = np.ravel(np.broadcast_to(plain(x), shape)).astype(common_float(plain(x), *arrays))
    places: dict[Any, list[int]] = {}
    for place, key in enumerate(zip(*[a.ravel().tolist() for a in arrays], strict=True)):
        places.setdefault(key, []).append(place)
    dtypes = scipys_dtypes(name, (*arrays, x))
    dtype = entries.dtype if dtypes is None else dtypes[-1]
    if not places:
        return np.reshape(entries.astype(dtype), shape)
    parts = [function(*key, entries[np.array(found)]) for key, found in places.items()]
    order = np.argsort([place for found in places.values() for place in found])
    return np.reshape(np.concatenate(parts)[order].astype(dtype), shape)
