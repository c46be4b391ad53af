"""Formulas as textbooks print them, for ``benchmarks.accuracy`` and the tests to judge."""

from __future__ import annotations

from typing import Any

from benchmarks.accuracy import Formula


def _positive(*xs: float) -> bool:
    return all(x > 0 for x in xs)


def _nonzero(*xs: float) -> bool:
    return all(x != 0 for x in xs)


def _unit(*xs: float) -> bool:
    return all(0 < x < 1 for x in xs)


def _variance(m: Any, x: Any, y: Any, z: Any) -> Any:
    v = m.stack([x, y, z])
    return m.mean(v**2) - m.mean(v) ** 2


def _two_pass(m: Any, x: Any, y: Any, z: Any) -> Any:
    v = m.stack([x, y, z])
    return m.mean((v - m.mean(v)) ** 2)


def _welford(m: Any, x: Any, y: Any, z: Any) -> Any:
    mean, total = x, 0.0
    for n, v in ((2, y), (3, z)):
        d = v - mean
        mean = mean + d / n
        total = total + d * (v - mean)
    return total / 3


def _entropy(m: Any, a: Any, b: Any, c: Any) -> Any:
    e = m.exp(m.stack([a, b, c]))
    p = e / m.sum(e)
    return -m.sum(p * m.log(p))


def _attention(m: Any, a: Any, b: Any, c: Any) -> Any:
    e = m.exp(m.stack([a, b]))
    w = e / m.sum(e)
    return w[0] * c + w[1] * 2.0


def _cosine(m: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    u, v = m.stack([a, b]), m.stack([c, d])
    return m.dot(u, v) / (m.sqrt(m.dot(u, u)) * m.sqrt(m.dot(v, v)))


def _mixture(m: Any, x: Any, a: Any, b: Any) -> Any:
    return m.log(0.25 * m.exp(-((x - a) ** 2) / 2) + 0.75 * m.exp(-((x - b) ** 2) / 2))


def _responsibility(m: Any, x: Any, a: Any, b: Any) -> Any:
    p, q = 0.25 * m.exp(-((x - a) ** 2) / 2), 0.75 * m.exp(-((x - b) ** 2) / 2)
    return p / (p + q)


TEXTBOOK = (
    # Sums of exponentials
    Formula("softmax of 2", lambda m, x, y: m.exp(x) / (m.exp(x) + m.exp(y))),
    Formula("softmax of 3", lambda m, x, y, z: m.exp(x) / (m.exp(x) + m.exp(y) + m.exp(z))),
    Formula("softmax, last", lambda m, x, y, z: m.exp(z) / (m.exp(x) + m.exp(y) + m.exp(z))),
    Formula(
        "softmax of 4",
        lambda m, x, y, z, t: m.exp(y) / (m.exp(x) + m.exp(y) + (m.exp(z) + m.exp(t))),
    ),
    Formula(
        "softmax, one read",
        lambda m, x, y, z: m.exp(m.stack([x, y, z]))[1] / m.sum(m.exp(m.stack([x, y, z]))),
    ),
    Formula(
        "softmax, then read",
        lambda m, x, y, z: (m.exp(m.stack([x, y, z])) / m.sum(m.exp(m.stack([x, y, z]))))[1],
    ),
    Formula("softmax in base 2", lambda m, x, y: m.exp2(x) / (m.exp2(x) + m.exp2(y))),
    Formula("log-sum-exp of 2", lambda m, x, y: m.log(m.exp(x) + m.exp(y))),
    Formula("log-sum-exp of 3", lambda m, x, y, z: m.log(m.exp(x) + m.exp(y) + m.exp(z))),
    Formula("log-sum-exp, sum", lambda m, x, y, z: m.log(m.sum(m.exp(m.stack([x, y, z]))))),
    Formula("log-mean-exp", lambda m, x, y, z: m.log(m.mean(m.exp(m.stack([x, y, z]))))),
    Formula("log2-sum-exp2", lambda m, x, y: m.log2(m.exp2(x) + m.exp2(y))),
    Formula(
        "log-mean-exp, scaled",
        lambda m, x, y, t: t * m.log((m.exp(x / t) + m.exp(y / t)) / 2),
        lambda x, y, t: t > 0,
    ),
    Formula(
        "softmax mean",
        lambda m, x, y: (
            m.sum(m.stack([x, y]) * m.exp(m.stack([x, y]))) / m.sum(m.exp(m.stack([x, y])))
        ),
    ),
    Formula(
        "softmax mean, written out",
        lambda m, x, y: (x * m.exp(x) + y * m.exp(y)) / (m.exp(x) + m.exp(y)),
    ),
    Formula("softmax entropy", _entropy),
    Formula("attention of 2", _attention),
    Formula("two levels", lambda m, e, t: 1 / (1 + m.exp(-e / t)), lambda e, t: t != 0),
    Formula(
        "partition energy",
        lambda m, b: (m.exp(-b) + 2 * m.exp(-2 * b)) / (1 + m.exp(-b) + m.exp(-2 * b)),
    ),
    Formula("Gaussian mixture", _mixture),
    Formula("responsibility", _responsibility),
    Formula("exponentials' quotient", lambda m, x, y: m.exp(x) / m.exp(y)),
    Formula("exponentials' product", lambda m, x, y: m.exp(x) * m.exp(-y)),
    Formula("sigmoid", lambda m, x: 1 / (1 + m.exp(-x))),
    Formula("sigmoid, rising", lambda m, x: m.exp(x) / (1 + m.exp(x))),
    Formula("sigmoid slope", lambda m, x: m.exp(-x) / (1 + m.exp(-x)) ** 2),
    Formula("softplus", lambda m, x: m.log(1 + m.exp(x))),
    Formula("cross-entropy", lambda m, x: -m.log(1 / (1 + m.exp(-x)))),
    Formula(
        "focal loss",
        lambda m, x: -((1 - 1 / (1 + m.exp(-x))) ** 2) * m.log(1 / (1 + m.exp(-x))),
    ),
    Formula("SiLU", lambda m, x: x / (1 + m.exp(-x))),
    Formula("tanh as exponentials", lambda m, x: (m.exp(2 * x) - 1) / (m.exp(2 * x) + 1)),
    Formula("Mish", lambda m, x: x * m.tanh(m.log(1 + m.exp(x)))),
    Formula("Planck", lambda m, x: x**3 / (m.exp(x) - 1), lambda x: x != 0),
    Formula("Einstein heat", lambda m, x: x**2 * m.exp(x) / (m.exp(x) - 1) ** 2, _nonzero),
    Formula("Fermi", lambda m, e, u, t: 1 / (m.exp((e - u) / t) + 1), lambda e, u, t: t > 0),
    # Probabilities
    Formula("log-odds", lambda m, p: m.log(p / (1 - p)), _unit),
    Formula("log-odds, apart", lambda m, p: m.log(p) - m.log(1 - p), _unit),
    Formula("binary entropy", lambda m, p: -p * m.log(p) - (1 - p) * m.log(1 - p), _unit),
    Formula(
        "KL of Bernoullis",
        lambda m, p, q: p * m.log(p / q) + (1 - p) * m.log((1 - p) / (1 - q)),
        _unit,
    ),
    Formula("KL term", lambda m, p, q: p * m.log(p / q), _positive),
    Formula("complement of a power", lambda m, p, n: 1 - (1 - p) ** n, lambda p, n: 0 < p < 1 < n),
    Formula("log of a complement", lambda m, p: m.log(1 - p), _unit),
    Formula(
        "normal density",
        lambda m, x, s: m.exp(-(x**2) / (2 * s**2)) / (s * m.sqrt(2 * m.pi)),
        lambda x, s: s > 0,
    ),
    Formula(
        "normal log-density",
        lambda m, x, u, s: m.log(m.exp(-0.5 * ((x - u) / s) ** 2) / (s * m.sqrt(2 * m.pi))),
        lambda x, u, s: s > 0,
    ),
    Formula(
        "log of a Laplace density",
        lambda m, x, b: m.log(m.exp(-abs(x) / b) / (2 * b)),
        lambda x, b: b > 0,
    ),
    Formula(
        "Cauchy density", lambda m, x, g: 1 / (m.pi * g * (1 + (x / g) ** 2)), lambda x, g: g > 0
    ),
    Formula("Student", lambda m, x, n: -(n + 1) / 2 * m.log(1 + x**2 / n), lambda x, n: n > 0),
    # Lengths, products and quotients that leave the range
    Formula("root of squares", lambda m, x, y: (x**2 + y**2) ** 0.5),
    Formula("root by power", lambda m, x, y: m.power(x * x + y * y, 0.5)),
    Formula("root of 3 squares", lambda m, x, y, z: m.sqrt(x * x + y * y + z * z)),
    Formula("norm", lambda m, x, y, z: m.sqrt(m.sum(m.stack([x, y, z]) ** 2))),
    Formula("norm by power", lambda m, x, y: m.sum(m.square(m.stack([x, y]))) ** 0.5),
    Formula("norm by @", lambda m, x, y, z: m.sqrt(m.stack([x, y, z]) @ m.stack([x, y, z]))),
    Formula("norm by dot", lambda m, x, y: m.sqrt(m.dot(m.stack([x, y]), m.stack([x, y])))),
    Formula("root mean square", lambda m, x, y: m.sqrt(m.mean(m.stack([x, y]) ** 2))),
    Formula("distance", lambda m, a, b, c, d: m.sqrt((a - c) ** 2 + (b - d) ** 2)),
    Formula("unit vector", lambda m, x, y: x / m.sqrt(x * x + y * y), lambda x, y: x != 0 != y),
    Formula("cosine similarity", _cosine, _nonzero),
    Formula("inverse square root", lambda m, x, y: 1 / m.sqrt(x * x + y * y)),
    Formula("geometric mean", lambda m, x, y: m.sqrt(x * y), _positive),
    Formula("geometric mean, power", lambda m, x, y: (x * y) ** 0.5, _positive),
    Formula("harmonic sum", lambda m, x, y: x * y / (x + y), _positive),
    Formula("product and back", lambda m, x, y: x * y / y, _nonzero),
    Formula("square and back", lambda m, x: x * x / x, _nonzero),
    Formula("powers' quotient", lambda m, x: x**3 / x**2, _nonzero),
    Formula("ratio of products", lambda m, a, b, c, d: (a * b) / (c * d), _nonzero),
    Formula("log of a product", lambda m, x, y: m.log(x * y), _positive),
    Formula("log of a quotient", lambda m, x, y: m.log(x / y), _positive),
    Formula("log of prod", lambda m, x, y, z: m.log(m.prod(m.stack([x, y, z]))), _positive),
    Formula("log of a square", lambda m, x: m.log(x**2), _nonzero),
    Formula("log of a root sum", lambda m, x, y: m.log(m.sqrt(x * x + y * y)), _nonzero),
    # Differences
    Formula("variance by moments", _variance),
    Formula("variance in two passes", _two_pass),
    Formula("Welford", _welford),
    Formula("difference of squares", lambda m, x, y: x * x - y * y),
    Formula("relativistic energy", lambda m, v: 1 / m.sqrt(1 - v**2) - 1, lambda v: -1 < v < 1),
    Formula("Lorentz", lambda m, v: 1 / m.sqrt(1 - v * v), lambda v: -1 < v < 1),
    Formula("kinetic", lambda m, p, c: m.sqrt(p**2 + c**2) - c, lambda p, c: c > 0),
    Formula("compound interest", lambda m, r, n: (1 + r) ** n - 1, lambda r, n: 0 < r < 1 < n),
    Formula("annuity", lambda m, r, n: (1 - (1 + r) ** (-n)) / r, lambda r, n: 0 < r < 1 < n),
    Formula("growth", lambda m, r, n: (1 + r / n) ** n, lambda r, n: abs(r) < 500 and n > 1),
    Formula("geometric series", lambda m, q, n: (1 - q**n) / (1 - q), lambda q, n: 0 < q < 1 < n),
    Formula(
        "haversine",
        lambda m, a, b: m.sin((a - b) / 2) ** 2 + m.cos(a) * m.cos(b) * m.sin((a + b) / 2) ** 2,
    ),
    Formula("versine", lambda m, x: 1 - m.cos(x)),
    Formula("chord", lambda m, x: m.sqrt(2 - 2 * m.cos(x))),
    Formula("sinc less 1", lambda m, x: m.sin(x) / x - 1, _nonzero),
    Formula("tangent less sine", lambda m, x: m.tan(x) - m.sin(x)),
    Formula("tangent of a half", lambda m, x: m.sin(x) / (1 + m.cos(x))),
    Formula("arctangents", lambda m, x, y: m.arctan(x + y) - m.arctan(x)),
    Formula(
        "square roots", lambda m, x, y: m.sqrt(x + y) - m.sqrt(x), lambda x, y: x >= 0 <= x + y
    ),
    Formula("1 - sqrt", lambda m, x: 1 - m.sqrt(1 - x), lambda x: x < 1),
    Formula("root less 1", lambda m, x: m.sqrt(1 + x) - 1, lambda x: x > -1),
    Formula("arcosh", lambda m, x: m.log(x + m.sqrt(x * x - 1)), lambda x: x > 1),
    Formula("secant slope", lambda m, x, h: ((x + h) ** 2 - x**2) / h, lambda x, h: h != 0),
    Formula("decay", lambda m, k, t: (1 - m.exp(-k * t)) / k, lambda k, t: k != 0),
    Formula("bilinear", lambda m, x, y: (x - y) / (x + y), lambda x, y: x + y != 0),
    Formula("lens", lambda m, g, u: 1 / (1 / g - 1 / u), lambda g, u: g != 0 != u and g != u),
)
