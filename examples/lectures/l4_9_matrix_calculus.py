"""L4.9 Matrix calculus: types of derivatives, layouts, common derivatives, and the chain rule

Denominator layout: dy/dx of y in R^M by x in R^P is P x M, so that the gradient of an
objective has the shape of its parameters. Numerator layout is its transpose, M x P.
"""

import numpy as np
from lecture import agree, table, title

import chainrule as cr

rng = np.random.default_rng(15)
P, M, N, Q = 4, 2, 3, 2


def derivative(f, x):
    """df/dx in denominator layout: the axes of x first, then those of f."""
    J = np.asarray(cr.jacobian(f)(x))  # the axes of f first: numerator layout
    return np.moveaxis(J, range(J.ndim - np.ndim(x), J.ndim), range(np.ndim(x)))


title(__doc__)

print(f"Types of derivatives, with P, M, N, Q = {P}, {M}, {N}, {Q} (shapes, denominator layout):")
A = rng.normal(size=(M, N))
tops = {
    "scalar": lambda x: np.sum(np.sin(x)),
    "vector in R^M": lambda x: np.sum(np.sin(x)) * A[:, 0],
    "matrix M x N": lambda x: np.sum(np.sin(x)) * A,
}
bottoms = {"scalar": 0.5, "vector in R^P": np.ones(P), "matrix P x Q": np.ones((P, Q))}
shapes = [
    [np.shape(derivative(top, bottom)) for top in tops.values()] for bottom in bottoms.values()
]
table(
    ("by, of:", *tops),
    [(name, *map(str, row)) for name, row in zip(bottoms, shapes, strict=True)],
)
assert shapes[1][0] == (P,)
assert shapes[1][1] == (P, M)
assert shapes[2][0] == (P, Q)

print("\nCommon derivatives of scalars:")
x, b = 1.5, -0.7
agree("bx    ->  b", derivative(lambda x: b * x, x), b)
agree("x^2   ->  2x", derivative(lambda x: x**2, x), 2 * x)
agree("bx^2  ->  2bx", derivative(lambda x: b * x**2, x), 2 * b * x)

print("\nThe same for vectors:")
x, b = rng.normal(size=P), rng.normal(size=P)
B, S = rng.normal(size=(P, M)), rng.normal(size=(P, P))
S = S + S.T  # symmetric
agree("x^T b    ->  b", derivative(lambda x: x @ b, x), b)
agree("x^T B    ->  B", derivative(lambda x: x @ B, x), B)
agree("x^T x    ->  2x", derivative(lambda x: x @ x, x), 2 * x)
agree("x^T B x  ->  2Bx, B symmetric", derivative(lambda x: x @ S @ x, x), 2 * S @ x)

print("\nQuestion: y = g(u), u = h(x). Which is the chain rule, in denominator layout?")
candidates = {
    "A  dy/du du/dx": lambda dy_du, du_dx: dy_du @ du_dx,
    "B  dy/du du/dx^T": lambda dy_du, du_dx: dy_du @ du_dx.T,
    "C  dy/du^T du/dx": lambda dy_du, du_dx: dy_du.T @ du_dx,
    "D  dy/du^T du/dx^T": lambda dy_du, du_dx: dy_du.T @ du_dx.T,
    "E  (dy/du du/dx)^T": lambda dy_du, du_dx: (dy_du @ du_dx).T,
}


def answers(P, K, M):
    """What becomes of each candidate for x in R^P, u in R^K, y in R^M."""
    G, H, x = rng.normal(size=(M, K)), rng.normal(size=(K, P)), rng.normal(size=P)
    h, g = lambda x: np.tanh(H @ x), lambda u: np.sin(G @ u)
    dy_du, du_dx = derivative(g, h(x)), derivative(h, x)
    dy_dx = derivative(lambda x: g(h(x)), x)
    found = [verdict(candidate, dy_du, du_dx, dy_dx) for candidate in candidates.values()]
    agree(f"F  none of these: dy/dx = du/dx dy/du ({P}, {K}, {M})", dy_dx, du_dx @ dy_du)
    return found


def verdict(candidate, dy_du, du_dx, dy_dx):
    try:
        value = candidate(dy_du, du_dx)
    except ValueError:
        return "does not fit"
    if value.shape == dy_dx.shape and np.allclose(value, dy_dx):
        return "right"
    if value.shape == dy_dx.T.shape and np.allclose(value, dy_dx.T):
        return "transposed"
    return "wrong"


sizes = [(4, 3, 2), (3, 3, 3), (1, 1, 1)]
columns = [answers(*each) for each in sizes]
print("\n  Sizes of x, u and y:")
table(
    ("candidate", *map(str, sizes)),
    [(name, *row) for name, *row in zip(candidates, *columns, strict=True)],
)
print("  D is the rule of numerator layout. Only of numbers are all of them right.")
assert "right" not in columns[0] + columns[1]
assert [column[3] for column in columns] == ["transposed", "transposed", "right"]
