"""Ratings as a product of two tables, plus biases: loops over the known entries, with a penalty."""

import numpy as np


class Recommender:
    def __init__(self, n_users=5, n_items=6, k=3, reg=0.05):
        rng = np.random.default_rng(91)
        self.P = rng.normal(size=(n_users, k))
        self.Q = rng.normal(size=(n_items, k))
        self.bu = rng.normal(size=n_users)
        self.bi = rng.normal(size=n_items)
        self.reg = reg

    def cost(self, ratings):
        total = 0.0
        for u, i, r in ratings:
            e = self.P[u] @ self.Q[i] + self.bu[u] + self.bi[i] - r
            total += e**2
        total /= len(ratings)
        return total + self.reg * (np.sum(self.P**2) + np.sum(self.Q**2))

    def compute_gradients(self, ratings):
        gP, gQ = np.zeros_like(self.P), np.zeros_like(self.Q)
        gbu, gbi = np.zeros_like(self.bu), np.zeros_like(self.bi)
        for u, i, r in ratings:
            e = self.P[u] @ self.Q[i] + self.bu[u] + self.bi[i] - r
            gP[u] += 2 * e * self.Q[i]
            gQ[i] += 2 * e * self.P[u]
            gbu[u] += 2 * e
            gbi[i] += 2 * e
        n = len(ratings)
        gP, gQ, gbu, gbi = gP / n, gQ / n, gbu / n, gbi / n
        gP += 2 * self.reg * self.P
        gQ += 2 * self.reg * self.Q
        return {"P": gP, "Q": gQ, "bu": gbu, "bi": gbi}


def check_case():
    rng = np.random.default_rng(92)
    ratings = [(int(rng.integers(5)), int(rng.integers(6)), float(rng.normal())) for _ in range(12)]
    return {"model": Recommender(), "ratings": ratings}
