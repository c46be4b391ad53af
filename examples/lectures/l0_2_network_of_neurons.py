"""L0.2 A feedforward network as a graph of neurons: weights, sum, score z, activation g, output a

Neuron k of layer i takes the outputs of layer i-1 and the dummy node 1, and gives
a_k = g(z_k) with z_k = sum_j W_jk a_j + b_k. Layer by layer this is a[i] = g(a[i-1] . Theta[i]).
"""

from itertools import pairwise

import numpy as np
from lecture import agree, title

import chainrule as cr

rng = np.random.default_rng(1)
SIZES = (3, 4, 2)  # input, hidden and output layer


def logistic(z):
    return 1 / (1 + np.exp(-z))


def relu(z):
    return np.maximum(0, z)


def softmax(z):
    return np.exp(z) / np.sum(np.exp(z))


def neuron(weights, bias, inputs, g):
    z = bias  # the score: the weighted sum of the inputs
    for w, a in zip(weights, inputs, strict=True):
        z = z + w * a
    return g(z)


def neuron_by_neuron(Theta, x, g, output):
    hidden = [neuron(Theta[0][1:, k], Theta[0][0, k], x, g) for k in range(SIZES[1])]
    scores = [neuron(Theta[1][1:, k], Theta[1][0, k], hidden, lambda z: z) for k in range(SIZES[2])]
    return output(np.stack(scores))


def layer_by_layer(Theta, x, g, output):
    one = np.ones(1)
    a1 = g(np.concatenate([one, x]) @ Theta[0])
    return output(np.concatenate([one, a1]) @ Theta[1])


title(__doc__)

print("One logistic neuron with two inputs, recorded:\n")
print(cr.trace(lambda w, b, a: neuron(w, b, a, logistic))([0.1, 0.2], 0.3, [0.4, 0.5]))

x = rng.normal(size=SIZES[0])
Theta = [rng.normal(size=(1 + i, o)) for i, o in pairwise(SIZES)]
for output in (logistic, softmax):
    for g in (logistic, np.tanh, relu):
        print(f"\nhidden {g.__name__}, output {output.__name__}:")
        yhat = neuron_by_neuron(Theta, x, g, output)
        agree("yhat, neuron by neuron = a[1] . Theta[2]", yhat, layer_by_layer(Theta, x, g, output))
        if output is softmax:
            agree("softmax: the outputs sum to", np.sum(yhat), 1.0)
        graph, matrices = (
            cr.grad(lambda T, f=f, g=g, out=output: f(T, x, g, out)[0])(Theta)
            for f in (neuron_by_neuron, layer_by_layer)
        )
        agree("gradient on Theta[1], neurons and matrices", graph[0], matrices[0])
        agree("gradient on Theta[2]", graph[1], matrices[1])
