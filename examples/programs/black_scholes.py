"""The Greeks of an option: its price by Black and Scholes, and what that price hangs on.

Textbooks give each Greek, a derivative of up to third order, a formula of its own (Hull, *Options,
Futures, and Other Derivatives*, 2018, chapter 19); here all are ``cr.grad`` of the price, for a
table of options by ``cr.vmap``. The oracle: those formulas. Then the volatility that market
prices imply, by Newton's method.
"""

import time

import numpy as np
from scipy.special import ndtr
from scipy.stats import norm

import chainrule as cr

OPTIONS, RATE = 2000, 0.03


def call(spot, strike, years, volatility, rate=RATE):
    """The price of a European call."""
    spread = volatility * np.sqrt(years)
    d1 = (np.log(spot / strike) + (rate + volatility**2 / 2) * years) / spread
    return spot * ndtr(d1) - strike * np.exp(-rate * years) * ndtr(d1 - spread)


def put(spot, strike, years, volatility, rate=RATE):
    return call(spot, strike, years, volatility, rate) - spot + strike * np.exp(-rate * years)


def greeks(price):
    """Functions of one option, by name."""
    delta = cr.grad(price, argnums=0)
    vega = cr.grad(price, argnums=3)
    gamma = cr.grad(delta, argnums=0)
    return {
        "delta": delta,
        "gamma": gamma,
        "vega": vega,
        "theta": lambda *option: -cr.grad(price, argnums=2)(*option),
        "rho": lambda *option: cr.grad(price, argnums=4)(*option, RATE),
        "vanna": cr.grad(delta, argnums=3),
        "volga": cr.grad(vega, argnums=3),
        "speed": cr.grad(gamma, argnums=0),
    }


def by_formula(spot, strike, years, volatility):
    """The same of a call, from the textbook."""
    root = np.sqrt(years)
    d1 = (np.log(spot / strike) + (RATE + volatility**2 / 2) * years) / (volatility * root)
    d2, later = d1 - volatility * root, strike * np.exp(-RATE * years)
    density = norm.pdf(d1)
    gamma = density / (spot * volatility * root)
    vega = spot * density * root
    return {
        "delta": norm.cdf(d1),
        "gamma": gamma,
        "vega": vega,
        "theta": -spot * density * volatility / (2 * root) - RATE * later * norm.cdf(d2),
        "rho": years * later * norm.cdf(d2),
        "vanna": -density * d2 / volatility,
        "volga": vega * d1 * d2 / volatility,
        "speed": -gamma / spot * (d1 / (volatility * root) + 1),
    }


def table(seed):
    rng = np.random.default_rng(seed)
    return (
        100.0 + 0 * rng.random(OPTIONS),
        rng.uniform(80, 120, OPTIONS),
        rng.uniform(0.1, 2.0, OPTIONS),
        rng.uniform(0.1, 0.6, OPTIONS),
    )


def implied(prices, spot, strike, years):
    """The volatilities at which options have these prices."""
    volatility = np.full_like(prices, 0.3)
    for _ in range(20):
        value, vega = cr.jvp(
            lambda v: call(spot, strike, years, v), (volatility,), (np.ones_like(prices),)
        )
        volatility = volatility - (value - prices) / vega
    return volatility


def timed(f, *args):
    f(*args)
    began = time.perf_counter()
    for _ in range(20):
        f(*args)
    return (time.perf_counter() - began) / 20


def main():
    options = table(0)
    expected = by_formula(*options)
    one = [x[0].item() for x in options]
    every = {}
    for name, greek in greeks(call).items():
        np.testing.assert_allclose(greek(*one), expected[name][0], rtol=1e-9)
        every[name] = cr.vmap(greek)
    together = cr.jit(lambda *options: {name: greek(*options) for name, greek in every.items()})
    found = together(*options)
    for name, values in found.items():
        scale = np.max(np.abs(expected[name]))
        np.testing.assert_allclose(values, expected[name], rtol=1e-9, atol=1e-12 * scale)
    print(f"{len(found)} Greeks of {OPTIONS} calls equal the textbook's formulas:")
    print("  ".join(f"{name} {values[0]:.5f}" for name, values in found.items()))
    ours, hand = timed(together, *options), timed(by_formula, *options)
    print(f"all of them in {ours * 1e3:.2f} ms; by formulas in NumPy {hand * 1e3:.2f} ms")
    deltas = cr.jit(cr.vmap(cr.grad(put)))(*options)
    np.testing.assert_allclose(deltas, expected["delta"] - 1, rtol=1e-9, atol=1e-15)
    volatility = cr.jit(implied)(call(*options), *options[:3])
    np.testing.assert_allclose(volatility, options[3], rtol=1e-6)
    print("and the volatilities that their prices imply are those they were made with")


if __name__ == "__main__":
    main()
