"""The multiclass SVM loss with loops over examples and classes, as in CS231n's first assignment."""

import numpy as np

rng = np.random.default_rng(8)
X = rng.normal(size=(9, 5))
y = rng.integers(0, 4, 9)
W = rng.normal(size=(5, 4))
reg = 0.2


def loss_and_grad(W, X, y, reg):
    dW = np.zeros(W.shape)
    num_classes = W.shape[1]
    num_train = X.shape[0]
    loss = 0.0
    for i in range(num_train):
        scores = X[i].dot(W)
        correct_class_score = scores[y[i]]
        for j in range(num_classes):
            if j == y[i]:
                continue
            margin = scores[j] - correct_class_score + 1
            if margin > 0:
                loss += margin
                dW[:, j] += X[i]
                dW[:, y[i]] -= X[i]
    loss /= num_train
    dW /= num_train
    loss += reg * np.sum(W * W)
    dW += 2 * reg * W
    return loss, dW
