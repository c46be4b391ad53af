"""Objects with inputs, dinputs, dweights and dbiases, as in "Neural Networks from Scratch"."""

import numpy as np


class Layer_Dense:
    def __init__(self, rng, n_inputs, n_neurons, l2=0.0):
        self.weights = rng.normal(size=(n_inputs, n_neurons))
        self.biases = rng.normal(size=(1, n_neurons))
        self.weight_regularizer_l2 = l2

    def forward(self, inputs):
        self.inputs = inputs
        self.output = np.dot(inputs, self.weights) + self.biases

    def backward(self, dvalues):
        self.dweights = np.dot(self.inputs.T, dvalues)
        self.dbiases = np.sum(dvalues, axis=0, keepdims=True)
        if self.weight_regularizer_l2 > 0:
            self.dweights += 2 * self.weight_regularizer_l2 * self.weights
        self.dinputs = np.dot(dvalues, self.weights.T)


class Activation_ReLU:
    def forward(self, inputs):
        self.inputs = inputs
        self.output = np.maximum(0, inputs)

    def backward(self, dvalues):
        self.dinputs = dvalues.copy()
        self.dinputs[self.inputs <= 0] = 0


class Activation_Softmax:
    def forward(self, inputs):
        exp_values = np.exp(inputs - np.max(inputs, axis=1, keepdims=True))
        self.output = exp_values / np.sum(exp_values, axis=1, keepdims=True)

    def backward(self, dvalues):
        self.dinputs = np.empty_like(dvalues)
        for index, (single_output, single_dvalues) in enumerate(zip(self.output, dvalues)):
            single_output = single_output.reshape(-1, 1)
            jacobian = np.diagflat(single_output) - np.dot(single_output, single_output.T)
            self.dinputs[index] = np.dot(jacobian, single_dvalues)


class Loss_CategoricalCrossentropy:
    def forward(self, y_pred, y_true):
        samples = len(y_pred)
        correct = y_pred[range(samples), y_true]
        return np.mean(-np.log(correct))

    def backward(self, dvalues, y_true):
        samples = len(dvalues)
        labels = len(dvalues[0])
        y_true = np.eye(labels)[y_true]
        self.dinputs = -y_true / dvalues
        self.dinputs = self.dinputs / samples


class Model:
    def __init__(self):
        rng = np.random.default_rng(21)
        self.dense1 = Layer_Dense(rng, 3, 5, l2=0.05)
        self.activation1 = Activation_ReLU()
        self.dense2 = Layer_Dense(rng, 5, 4)
        self.softmax = Activation_Softmax()
        self.loss_function = Loss_CategoricalCrossentropy()

    def forward(self, X, y):
        self.dense1.forward(X)
        self.activation1.forward(self.dense1.output)
        self.dense2.forward(self.activation1.output)
        self.softmax.forward(self.dense2.output)
        data_loss = self.loss_function.forward(self.softmax.output, y)
        regularization_loss = self.dense1.weight_regularizer_l2 * np.sum(self.dense1.weights**2)
        return data_loss + regularization_loss

    def backward(self, y):
        self.loss_function.backward(self.softmax.output, y)
        self.softmax.backward(self.loss_function.dinputs)
        self.dense2.backward(self.softmax.dinputs)
        self.activation1.backward(self.dense2.dinputs)
        self.dense1.backward(self.activation1.dinputs)


def check_case():
    rng = np.random.default_rng(22)
    return {"model": Model(), "X": rng.normal(size=(8, 3)), "y": rng.integers(0, 4, 8)}
