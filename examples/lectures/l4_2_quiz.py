"""L4.2 Differentiation quiz #1: suppose x = 2 and z = 3, what are dy/dx and dy/dz?

y = exp(xz) + xz/log(x) + sin(log(x))/(xz); round your answer to the nearest integer.
"""

import numpy as np
from lecture import agree, title

import chainrule as cr


def y(x, z):
    return np.exp(x * z) + x * z / np.log(x) + np.sin(np.log(x)) / (x * z)


title(__doc__)
x, z = 2.0, 3.0
value, (dy_dx, dy_dz) = cr.value_and_grad(y, argnums=(0, 1))(x, z)

print("To 30 digits (computed once with mpmath):")
agree("y", value, 412.191457284121175119405067448)
agree("dy/dx", dy_dx, 1208.38121512660962943075159562)
agree("dy/dz", dy_dz, 809.707479218564081209208097509)

print("\nIn closed form:")
log = np.log(x)
by_hand_x = (
    z * np.exp(x * z) + z / log - z / log**2 + np.cos(log) / (x**2 * z) - np.sin(log) / (x**2 * z)
)
by_hand_z = x * np.exp(x * z) + x / log - np.sin(log) / (x * z**2)
agree("dy/dx, by hand", dy_dx, by_hand_x)
agree("dy/dz, by hand", dy_dz, by_hand_z)

print("\nRounded to the nearest integer:")
agree("dy/dx", np.round(dy_dx), 1208.0)
agree("dy/dz", np.round(dy_dz), 810.0)
