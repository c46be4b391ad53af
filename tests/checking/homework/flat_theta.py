"""All weights in one vector, as in exercise 4 of Ng's course: rolled out and rolled up again."""

import numpy as np

input_size, hidden_size, num_labels = 3, 4, 3
rng = np.random.default_rng(51)
X = rng.normal(size=(7, 3))
y = rng.integers(0, 3, 7)
nn_params = rng.normal(size=4 * 4 + 3 * 5)
lambda_ = 0.7


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def sigmoid_gradient(z):
    g = sigmoid(z)
    return g * (1 - g)


def cost(nn_params, X, y, lambda_):
    Theta1 = nn_params[: hidden_size * (input_size + 1)].reshape(hidden_size, input_size + 1)
    Theta2 = nn_params[hidden_size * (input_size + 1) :].reshape(num_labels, hidden_size + 1)
    m = X.shape[0]
    a1 = np.hstack([np.ones((m, 1)), X])
    z2 = a1 @ Theta1.T
    a2 = np.hstack([np.ones((m, 1)), sigmoid(z2)])
    z3 = a2 @ Theta2.T
    h = sigmoid(z3)
    y_matrix = np.eye(num_labels)[y]
    J = np.sum(-y_matrix * np.log(h) - (1 - y_matrix) * np.log(1 - h)) / m
    J += lambda_ / (2 * m) * (np.sum(Theta1[:, 1:] ** 2) + np.sum(Theta2[:, 1:] ** 2))
    return J


def gradient(nn_params, X, y, lambda_):
    Theta1 = nn_params[: hidden_size * (input_size + 1)].reshape(hidden_size, input_size + 1)
    Theta2 = nn_params[hidden_size * (input_size + 1) :].reshape(num_labels, hidden_size + 1)
    m = X.shape[0]
    a1 = np.hstack([np.ones((m, 1)), X])
    z2 = a1 @ Theta1.T
    a2 = np.hstack([np.ones((m, 1)), sigmoid(z2)])
    z3 = a2 @ Theta2.T
    a3 = sigmoid(z3)
    d3 = a3 - np.eye(num_labels)[y]
    d2 = (d3 @ Theta2[:, 1:]) * sigmoid_gradient(z2)
    Theta1_grad = d2.T @ a1 / m
    Theta2_grad = d3.T @ a2 / m
    Theta1_grad[:, 1:] += lambda_ / m * Theta1[:, 1:]
    Theta2_grad[:, 1:] += lambda_ / m * Theta2[:, 1:]
    return np.concatenate([Theta1_grad.ravel(), Theta2_grad.ravel()])
