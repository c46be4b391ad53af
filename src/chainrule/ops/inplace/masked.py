"""What a traced mask chooses, ``x[mask]``, where nobody knows yet how many entries that are.

It has no shape, but it can be computed with entry by entry and written back by the same mask:
``x[mask] += v``, ``x[mask] = np.sqrt(y[mask])``. All are computed; the mask chooses last.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from chainrule.core.traced import Traced
from chainrule.errors import ChainruleError


class Masked(NDArrayOperatorsMixin, Traced):
    """``whole`` where ``mask`` holds. What needs to know how many entries there are raises
    ``refusal``, the error of reading them."""

    __slots__ = ("mask", "refusal", "whole")

    def __init__(self, whole: Traced, mask: Traced, refusal: ChainruleError) -> None:
        self.whole, self.mask, self.refusal = whole, mask, refusal
        self.recording, self.body, self.alias = whole.recording, whole.body, None
        self.weak, self.is_array = False, True

    def __getattr__(self, name: str) -> Any:
        if name == "node":  # it has none: whoever asks wants an array
            raise self.refusal
        return super().__getattr__(name)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        out = keywords.pop("out", None)
        if method != "__call__" or keywords or ufunc.signature or ufunc.nout != 1:
            raise self.refusal
        wholes = [self._whole(x) for x in inputs]
        if out is None:
            return Masked(ufunc(*wholes), self.mask, self.refusal)
        (target,) = out
        if type(target) is not Masked:
            raise self.refusal
        whole = target.whole.copy()
        ufunc(*wholes, out=whole)
        target.whole = whole
        return target

    def _whole(self, x: Any) -> Any:
        if type(x) is Masked and x.mask.node is self.mask.node:
            return x.whole
        if type(x) is Masked or np.ndim(x) > self.whole.ndim - self.mask.ndim:
            raise self.refusal
        return x

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> NoReturn:
        raise self.refusal
