"""Batch normalisation and inverted dropout in small steps, each step of the way back by itself."""

import numpy as np


class Net:
    def __init__(self):
        rng = np.random.default_rng(11)
        self.w1 = rng.standard_normal((4, 6))
        self.gamma = rng.standard_normal(6) + 1.5
        self.beta = rng.standard_normal(6)
        self.w2 = rng.standard_normal((6, 1))
        self.b2 = rng.standard_normal(1)
        self.keep = 0.8
        self.mask = (rng.random((9, 6)) < self.keep).astype(float)
        self.eps = 1e-5

    def batchnorm_forward(self, x):
        N, D = x.shape
        mu = 1.0 / N * np.sum(x, axis=0)
        xmu = x - mu
        sq = xmu**2
        var = 1.0 / N * np.sum(sq, axis=0)
        sqrtvar = np.sqrt(var + self.eps)
        ivar = 1.0 / sqrtvar
        xhat = xmu * ivar
        gammax = self.gamma * xhat
        out = gammax + self.beta
        return out, (xhat, xmu, ivar, sqrtvar, var)

    def batchnorm_backward(self, dout, cache):
        xhat, xmu, ivar, sqrtvar, var = cache
        N, D = dout.shape
        self.dbeta = np.sum(dout, axis=0)
        self.dgamma = np.sum(dout * xhat, axis=0)
        dxhat = dout * self.gamma
        divar = np.sum(dxhat * xmu, axis=0)
        dxmu1 = dxhat * ivar
        dsqrtvar = -1.0 / (sqrtvar**2) * divar
        dvar = 0.5 * 1.0 / np.sqrt(var + self.eps) * dsqrtvar
        dsq = 1.0 / N * np.ones((N, D)) * dvar
        dxmu2 = 2 * xmu * dsq
        dx1 = dxmu1 + dxmu2
        dmu = -1 * np.sum(dxmu1 + dxmu2, axis=0)
        dx2 = 1.0 / N * np.ones((N, D)) * dmu
        return dx1 + dx2

    def forward(self, x, y):
        self.x = x
        self.h = x.dot(self.w1)
        self.n, self.bn = self.batchnorm_forward(self.h)
        self.a = np.tanh(self.n)
        self.d = self.a * self.mask / self.keep
        self.out = self.d.dot(self.w2) + self.b2
        self.err = self.out - y
        return np.sum(self.err**2) / (2 * len(y))

    def backward(self):
        dout = self.err / len(self.err)
        self.dw2 = self.d.T.dot(dout)
        self.db2 = dout.sum(axis=0)
        dd = dout.dot(self.w2.T)
        da = dd * self.mask / self.keep
        dn = da * (1 - self.a**2)
        dh = self.batchnorm_backward(dn, self.bn)
        self.dw1 = self.x.T.dot(dh)


def check_case():
    rng = np.random.default_rng(12)
    return {"model": Net(), "x": rng.standard_normal((9, 4)), "y": rng.standard_normal((9, 1))}
