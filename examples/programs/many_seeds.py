"""32 networks that differ in nothing but their seed, trained at once: a band of loss curves.

One network's training is a ``cr.scan`` over minibatches; ``cr.vmap`` makes it that of all of them,
one loop of batched products. The oracle: each network has the bits that it has alone.
"""

import time

import numpy as np

import chainrule as cr

NETWORKS, ROWS, BATCH, EPOCHS, RATE, MOMENTUM = 32, 160, 32, 40, 0.1, 0.9
SIZES = (4, 16, 3)
MODEL, LOSS = cr.nn.MLP(SIZES, activation="tanh"), cr.nn.CategoricalCrossEntropy()


def data():
    """Three clouds that overlap a little, and their labels in one-hot coding."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, SIZES[-1], ROWS)
    return rng.normal(size=(ROWS, SIZES[0])) + 1.2 * np.eye(3, 4)[label], np.eye(3)[label]


def start(seed):
    """Initial weights, and the rows of each minibatch, (steps, BATCH)."""
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(ROWS) for _ in range(EPOCHS)])
    return MODEL.init(seed)[0], order.reshape(-1, BATCH)


def train(params, order, data):
    """The trained network and the loss of each minibatch, (steps,)."""
    inputs, targets = data

    def loss(params, rows):
        outputs, _ = MODEL(params, MODEL.init_state(), inputs[rows], train=True)
        return np.mean(LOSS(outputs, targets[rows]))

    def step(carry, rows):
        params, speed = carry
        value, g = cr.value_and_grad(loss)(params, rows)
        speed = cr.tree.map(lambda v, d: MOMENTUM * v - RATE * d, speed, g)
        return (cr.tree.map(np.add, params, speed), speed), value

    (params, _), losses = cr.scan(step, (params, cr.tree.map(np.zeros_like, params)), order)
    return params, losses


def timed(f, *args):
    begin = time.perf_counter()
    f(*args)
    return time.perf_counter() - begin


def band(curves, width=60):
    """The lowest, the middle and the highest of the curves at each epoch, as a picture."""
    low, middle, high = np.quantile(curves, (0, 0.5, 1), axis=0)
    top = high.max()
    for epoch in range(0, EPOCHS, 4):
        a, b, c = (int(q[epoch] / top * width) for q in (low, middle, high))
        line = "".join("#" if i == b else "-" if a <= i <= c else " " for i in range(width + 1))
        print(f"{epoch + 1:3}  {middle[epoch]:.3f} |{line}")


def main():
    each = [start(seed) for seed in range(NETWORKS)]
    params, order = cr.tree.map(lambda *parts: np.stack(parts), *each)
    points = data()
    alone, together = cr.jit(train), cr.jit(cr.vmap(train, in_axes=(0, 0, None)))
    trained, losses = together(params, order, points)
    for k in range(NETWORKS):
        one, curve = alone(*each[k], points)
        assert np.array_equal(curve, losses[k])
        for a, b in zip(cr.tree.leaves(one), cr.tree.leaves(trained), strict=True):
            assert np.array_equal(a, b[k])
    print(f"each of {NETWORKS} networks has the bits that it has alone")
    ratio = timed(lambda: [alone(*x, points) for x in each]) / timed(
        together, params, order, points
    )
    print(f"all at once take 1/{ratio:.1f} of the time of one after another")
    print("epoch, median loss, and the band from the lowest to the highest:")
    curves = losses.reshape(NETWORKS, EPOCHS, -1).mean(axis=2)
    band(curves)
    assert curves[:, -1].max() < curves[:, 0].min()


if __name__ == "__main__":
    main()
