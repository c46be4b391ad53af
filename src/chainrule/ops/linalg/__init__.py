"""Linear algebra: each primitive acts on the last two axes, leading axes are a batch.

Sources of the rules are named in the files; Giles (2008) is M. Giles, "Collected matrix
derivative results for forward and reverse mode algorithmic differentiation".
"""

from chainrule.ops.linalg.cholesky_factor import cholesky
from chainrule.ops.linalg.determinants import determinant, slogdet
from chainrule.ops.linalg.eigenvalues import eigh
from chainrule.ops.linalg.exponential import expm
from chainrule.ops.linalg.inverses import inv, pinv, solve
from chainrule.ops.linalg.matrices import diagonal_matrix, mt, triangle
from chainrule.ops.linalg.qr_factors import qr
from chainrule.ops.linalg.singular_values import svd, svd_parts

__all__ = [
    "cholesky",
    "determinant",
    "diagonal_matrix",
    "eigh",
    "expm",
    "inv",
    "mt",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svd_parts",
    "triangle",
]
