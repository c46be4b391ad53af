"""The functions of ``scipy.special``: each a primitive, with SciPy's values."""

from chainrule.ops.special.bessel import i0, i1, iv, j0, j1, jv, kv, yv
from chainrule.ops.special.entropies import entr, kl_div, rel_entr, xlog1py, xlogy
from chainrule.ops.special.errors import erf, erfc, erfcx, log_ndtr, ndtr
from chainrule.ops.special.gammas import betaln, digamma, gammaln, polygamma, zeta
from chainrule.ops.special.logistic import log_logistic, logistic, logit, tanh_slope
from chainrule.ops.special.others import exp10, lambertw

__all__ = [
    "betaln",
    "digamma",
    "entr",
    "erf",
    "erfc",
    "erfcx",
    "exp10",
    "gammaln",
    "i0",
    "i1",
    "iv",
    "j0",
    "j1",
    "jv",
    "kl_div",
    "kv",
    "lambertw",
    "log_logistic",
    "log_ndtr",
    "logistic",
    "logit",
    "ndtr",
    "polygamma",
    "rel_entr",
    "tanh_slope",
    "xlog1py",
    "xlogy",
    "yv",
    "zeta",
]
