"""L1.4 Gates in the backward pass: sum, product, max, and branches that meet

sum distributes the gradient, product switches the inputs, max routes to the larger input,
branches that split in the forward pass add their gradients.
"""

import numpy as np
from lecture import agree, title

import chainrule as cr


def backward(gate, *inputs, upstream):
    """What a gate passes to each of its inputs."""
    _, pull = cr.vjp(gate, *inputs)
    return pull(upstream)


title(__doc__)
g = 2.0  # the gradient that arrives from above
agree("sum: g, g", backward(lambda x, y: x + y, 3.0, -4.0, upstream=g), (g, g))
agree("product: g y, g x", backward(lambda x, y: x * y, 3.0, -4.0, upstream=g), (-8.0, 6.0))
agree("max(2, -1): g, 0", backward(np.maximum, 2.0, -1.0, upstream=g), (g, 0.0))
agree("max(-1, 2): 0, g", backward(np.maximum, -1.0, 2.0, upstream=g), (0.0, g))
agree("max(1, 1), a tie, shares: g/2, g/2", backward(np.maximum, 1.0, 1.0, upstream=g), (1.0, 1.0))


def branches(x):
    return np.sin(x) + x**2  # x goes two ways


agree("branches: g cos x + g 2x", backward(branches, 0.5, upstream=g)[0], g * np.cos(0.5) + g * 1.0)

print("\nAll in one, 2 (x y + max(z, w)) at x = 3, y = -4, z = 2, w = -1:")
f, gradient = cr.value_and_grad(
    lambda x, y, z, w: 2 * (x * y + np.maximum(z, w)), argnums=range(4)
)(3.0, -4.0, 2.0, -1.0)
agree("f", f, -20.0)
agree("df/dx, df/dy, df/dz, df/dw", gradient, (-8.0, 6.0, 2.0, 0.0))
