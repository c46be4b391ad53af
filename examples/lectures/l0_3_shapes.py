"""L0.3 Know your shapes: three conventions for the same layer

slides, TensorFlow, Keras   weights (inputs, outputs)          a[i] = g(a[i-1] . W + b)
textbooks                   weights (outputs, inputs)          a[i] = g(W . a[i-1] + b)
PyTorch                     stored as (outputs, inputs)        a[i] = g(a[i-1] . W^T + b)
"""

import numpy as np
from lecture import agree, table, title

import chainrule as cr

rng = np.random.default_rng(2)
inputs, outputs, m = 3, 2, 5
a0 = rng.normal(size=(m, inputs))
W, b = rng.normal(size=(inputs, outputs)), rng.normal(size=outputs)


def slides(W, b):
    return np.tanh(a0 @ W + b)


def textbook(W, b):  # examples are columns
    return np.tanh(W @ a0.T + b[:, None])


def pytorch(W, b):
    return np.tanh(a0 @ W.T + b)


def gradient(f, W):
    return cr.grad(lambda W: np.sum(f(W, b) ** 2))(W)


title(__doc__)

agree("textbook output = slides output, transposed", textbook(W.T, b), slides(W, b).T)
agree("PyTorch's output = slides output", pytorch(W.T, b), slides(W, b))

print("\nA gradient has the shape of what it belongs to:")
found = {f.__name__: gradient(f, w) for f, w in ((slides, W), (textbook, W.T), (pytorch, W.T))}
table(
    ("convention", "weights", "gradient"),
    [
        (name, str(W.shape if name == "slides" else W.T.shape), str(g.shape))
        for name, g in found.items()
    ],
)
agree("gradients: textbook = slides, transposed", found["textbook"], found["slides"].T)
agree("gradients: PyTorch = slides, transposed", found["pytorch"], found["slides"].T)

print("\nA whole network out and in again:")
model = cr.nn.MLP((inputs, 4, outputs), activation="tanh")
params, state = model.init(seed=0)
for convention in ("inputs_outputs", "outputs_inputs", "torch", "bias_row"):
    arrays = cr.nn.export_weights(params, convention=convention)
    back, _ = cr.nn.import_weights(arrays, model, convention=convention)
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    print(f"  {convention}: {shapes}")
    assert np.array_equal(model(back, state, a0)[0], model(params, state, a0)[0])

print("\nAnd the wrong way round:")
try:
    cr.nn.import_weights(cr.nn.export_weights(params, convention="torch"), model)
except cr.errors.ShapeError as error:
    print(f"  {error}")
else:
    raise AssertionError("transposed weights were taken")
