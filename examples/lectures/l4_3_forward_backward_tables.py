"""L4.3 J = cos(sin(x^2) + 3 x^2): the forward and the backward table, term by term

forward    t = x^2    u1 = sin(t)    u2 = 3 t    u = u1 + u2    J = cos(u)
backward   dJ/du = -sin(u)    dJ/du1 = dJ/du 1    dJ/du2 = dJ/du 1
           dJ/dt = dJ/du1 cos(t) + dJ/du2 3    dJ/dx = dJ/dt 2x
"""

import numpy as np
from lecture import agree, table, title

import chainrule as cr


def J(x):
    return np.cos(np.sin(x**2) + 3 * x**2)


title(__doc__)
x = 1.0

t, through_t = cr.vjp(lambda x: x**2, x)
u1, through_u1 = cr.vjp(np.sin, t)
u2, through_u2 = cr.vjp(lambda t: 3 * t, t)
u, through_u = cr.vjp(lambda u1, u2: u1 + u2, u1, u2)
value, through_J = cr.vjp(np.cos, u)

(dJ_du,) = through_J(1.0)
dJ_du1, dJ_du2 = through_u(dJ_du)
(from_u1,), (from_u2,) = through_u1(dJ_du1), through_u2(dJ_du2)
dJ_dt = from_u1 + from_u2  # t feeds two branches: their gradients add
(dJ_dx,) = through_t(dJ_dt)

print("Forward:")
table(
    ("step", "value"),
    [
        (step, f"{number:.12f}")
        for step, number in [
            ("t  = x^2", t),
            ("u1 = sin(t)", u1),
            ("u2 = 3 t", u2),
            ("u  = u1 + u2", u),
            ("J  = cos(u)", value),
        ]
    ],
)
print("\nBackward:")
table(
    ("derivative", "local", "upstream", "product"),
    [
        (name, *(f"{number:.12f}" for number in numbers))
        for name, *numbers in [
            ("dJ/du  = -sin(u)", -np.sin(u), 1.0, dJ_du),
            ("dJ/du1 = dJ/du 1", 1.0, dJ_du, dJ_du1),
            ("dJ/du2 = dJ/du 1", 1.0, dJ_du, dJ_du2),
            ("dJ/dt  from u1: cos(t)", np.cos(t), dJ_du1, from_u1),
            ("dJ/dt  from u2: 3", 3.0, dJ_du2, from_u2),
            ("dJ/dx  = dJ/dt 2x", 2 * x, dJ_dt, dJ_dx),
        ]
    ],
)
print("\nChecked:")
agree("dJ/du = -sin(u)", dJ_du, -np.sin(np.sin(1) + 3))
agree("dJ/dt = dJ/du1 cos(t) + dJ/du2 3", dJ_dt, dJ_du * np.cos(1) + dJ_du * 3)
agree("dJ/dx", dJ_dx, -np.sin(np.sin(x**2) + 3 * x**2) * (2 * x * np.cos(x**2) + 6 * x))
agree("dJ/dx = 4.560791790679 (mpmath)", dJ_dx, 4.560791790679, tolerance=1e-12)
agree("cr.grad(J)(1.0)", cr.grad(J)(x), dJ_dx)
