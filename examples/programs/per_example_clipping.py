"""Training in which no single example counts for more than its share.

Each example's gradient is scaled down to a norm of at most ``CLIP`` before they are added, and
noise of that size hides what is left of any one of them (Abadi et al., "Deep learning with
differential privacy", 2016). ``cr.vmap(cr.grad(loss))`` gives the gradient of each example in one
batched program; a loop over examples is the oracle.
"""

import time

import numpy as np

import chainrule as cr

EXAMPLES, FEATURES, CLASSES, HIDDEN = 256, 20, 3, 32
CLIP, NOISE, RATE, STEPS = 1.0, 0.3, 0.5, 60


def data(seed):
    """Three clouds of points; a few of the labels are wrong."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(CLASSES, FEATURES))
    label = rng.integers(0, CLASSES, EXAMPLES)
    x = centres[label] + rng.normal(size=(EXAMPLES, FEATURES))
    wrong = rng.random(EXAMPLES) < 0.05
    return x, np.where(wrong, (label + 1) % CLASSES, label)


def initial(seed):
    rng = np.random.default_rng(seed)
    return {
        "W": rng.normal(size=(FEATURES, HIDDEN)) / np.sqrt(FEATURES),
        "b": np.zeros(HIDDEN),
        "V": rng.normal(size=(HIDDEN, CLASSES)) / np.sqrt(HIDDEN),
        "c": np.zeros(CLASSES),
    }


def outputs(p, x):
    return np.tanh(x @ p["W"] + p["b"]) @ p["V"] + p["c"]


def loss(p, x, label):
    """Cross-entropy of one example."""
    z = outputs(p, x)
    z = z - np.max(z)
    return np.log(np.sum(np.exp(z))) - np.take(z, label)


def length(tree):
    return np.sqrt(sum(np.sum(g**2) for g in cr.tree.leaves(tree)))


def clipped(p, x, label):
    """One example's gradient, no longer than CLIP, and how long it was."""
    g = cr.grad(loss)(p, x, label)
    n = length(g)
    return cr.tree.map(lambda part: part * np.minimum(1.0, CLIP / n), g), n


@cr.jit
def step(p, x, label, key):
    each, lengths = cr.vmap(clipped, in_axes=(None, 0, 0))(p, x, label)

    def new(name, place):
        u, v = cr.random.uniform(cr.random.fold_in(key, place), (2, *p[name].shape))
        noise = np.sqrt(-2 * np.log(1 - u)) * np.cos(2 * np.pi * v)  # Box and Muller
        total = np.sum(each[name], axis=0) + NOISE * CLIP * noise
        return p[name] - RATE * total / EXAMPLES

    return {name: new(name, place) for place, name in enumerate(sorted(p))}, lengths


def by_loop(p, x, label):
    """The oracle: the gradients of the examples one after another."""
    found = [clipped(p, *example) for example in zip(x, label, strict=True)]
    total = cr.tree.map(lambda *parts: np.sum(np.stack(parts), axis=0), *[g for g, _ in found])
    return total, np.array([n for _, n in found])


def timed(f, *args):
    f(*args)
    start = time.perf_counter()
    f(*args)
    return time.perf_counter() - start


def main():
    x, label = data(0)
    p = initial(1)

    @cr.jit
    def together(p, x, label):
        each, lengths = cr.vmap(clipped, in_axes=(None, 0, 0))(p, x, label)
        return cr.tree.map(lambda g: np.sum(g, axis=0), each), lengths

    for got, expected in zip(
        cr.tree.leaves(together(p, x, label)), cr.tree.leaves(by_loop(p, x, label)), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
    summed = cr.jit(cr.grad(lambda p: np.sum(cr.vmap(loss, (None, 0, 0))(p, x, label))))
    print("clipped gradients equal those of a loop over the examples")
    ratio = timed(by_loop, p, x, label) / timed(together, p, x, label)
    print(f"one batched program is {ratio:.0f} times as fast as the loop; the clipped gradients")
    print(f"take {timed(together, p, x, label) / timed(summed, p):.1f} times the plain summed one")
    print("step  loss    longest gradient  clipped")
    every = cr.jit(cr.vmap(loss, (None, 0, 0)))
    for i in range(STEPS + 1):
        new, lengths = step(p, x, label, cr.random.key_of(7, i))
        if i % 20 == 0:
            share = np.mean(lengths > CLIP)
            print(f"{i:4}  {np.mean(every(p, x, label)):.4f}  {lengths.max():16.3f}  {share:7.1%}")
        p = new
    right = np.mean(np.argmax(outputs(p, x), axis=1) == label)
    print(f"right: {right:.1%}")
    assert right > 0.85


if __name__ == "__main__":
    main()
