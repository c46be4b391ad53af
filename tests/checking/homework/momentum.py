"""An autoencoder that is trained with momentum: gradients, velocities and updates in one method."""

import numpy as np


class Autoencoder:
    def __init__(self, n_in=5, n_hidden=3, lr=0.05, mu=0.9, weight_decay=0.01):
        rng = np.random.default_rng(61)
        self.We = rng.normal(0, 0.5, (n_in, n_hidden))
        self.be = rng.normal(0, 0.5, n_hidden)
        self.Wd = rng.normal(0, 0.5, (n_hidden, n_in))
        self.bd = rng.normal(0, 0.5, n_in)
        self.velocity = {k: 0.0 for k in ("We", "be", "Wd", "bd")}
        self.lr, self.mu, self.weight_decay = lr, mu, weight_decay

    def forward(self, x):
        self.x = x
        self.pre = x @ self.We + self.be
        self.code = self.pre / (1 + np.exp(-self.pre))
        self.recon = self.code @ self.Wd + self.bd
        penalty = 0.5 * self.weight_decay * (np.sum(self.We**2) + np.sum(self.Wd**2))
        return 0.5 * np.sum((self.recon - x) ** 2) / x.shape[0] + penalty

    def backward(self):
        batch = self.x.shape[0]
        d_recon = (self.recon - self.x) / batch
        d_code = d_recon @ self.Wd.T
        s = 1 / (1 + np.exp(-self.pre))
        d_pre = d_code * (s + self.pre * s * (1 - s))
        updates = {
            "Wd": self.code.T @ d_recon + self.weight_decay * self.Wd,
            "bd": d_recon.sum(axis=0),
            "We": self.x.T @ d_pre + self.weight_decay * self.We,
            "be": d_pre.sum(axis=0),
        }
        for name, grad in updates.items():
            self.velocity[name] = self.mu * self.velocity[name] - self.lr * grad
            setattr(self, name, getattr(self, name) + self.velocity[name])


def check_case():
    rng = np.random.default_rng(62)
    return {"model": Autoencoder(), "x": rng.normal(size=(7, 5))}
