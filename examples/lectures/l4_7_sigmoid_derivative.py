"""L4.7 The derivative of the sigmoid, derived step by step

Nine numbered lines take s = 1/(1 + exp(-b)) to ds/db = s (1 - s); each has the same value.
"""

import numpy as np
from lecture import agree, title

import chainrule as cr


def s(b):
    return 1 / (1 + np.exp(-b))


LINES = {
    "(2) exp(-b) / (exp(-b) + 1)^2": lambda e: e / (e + 1) ** 2,
    "(3) (exp(-b) + 1 - 1) / (exp(-b) + 1 + 1 - 1)^2": lambda e: (e + 1 - 1) / (e + 1 + 1 - 1) ** 2,
    "(4) (exp(-b) + 1 - 1) / (exp(-b) + 1)^2": lambda e: (e + 1 - 1) / (e + 1) ** 2,
    "(5) (exp(-b)+1)/(exp(-b)+1)^2 - 1/(exp(-b)+1)^2": lambda e: (
        (e + 1) / (e + 1) ** 2 - 1 / (e + 1) ** 2
    ),
    "(6) 1/(exp(-b)+1) - 1/(exp(-b)+1)^2": lambda e: 1 / (e + 1) - 1 / (e + 1) ** 2,
    "(7) 1/(exp(-b)+1) - 1/(exp(-b)+1) 1/(exp(-b)+1)": lambda e: (
        1 / (e + 1) - (1 / (e + 1)) * (1 / (e + 1))
    ),
    "(8) 1/(exp(-b)+1) (1 - 1/(exp(-b)+1))": lambda e: 1 / (e + 1) * (1 - 1 / (e + 1)),
}

title(__doc__)
for b in (0.0, 1.0, -2.0):
    print(f"b = {b:g}:")
    ds_db = cr.grad(s)(b)
    agree("(1) s = 1/(1 + exp(-b))", s(b), (1 + np.tanh(b / 2)) / 2)
    for text, line in LINES.items():
        agree(text, line(np.exp(-b)), ds_db)
    agree("(9) s (1 - s)", s(b) * (1 - s(b)), ds_db)
    print()

print("At every point of a grid at once, and once more differentiated:")
b = np.linspace(-8, 8, 33)
agree("ds/db = s (1 - s)", cr.grad(lambda b: np.sum(s(b)))(b), s(b) * (1 - s(b)))
second = cr.grad(lambda b: np.sum(cr.grad(lambda b: np.sum(s(b)))(b)))(b)
agree("d2s/db2 = s (1 - s) (1 - 2 s)", second, s(b) * (1 - s(b)) * (1 - 2 * s(b)))
