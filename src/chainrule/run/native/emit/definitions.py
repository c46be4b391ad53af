"""What the code of a program calls: kernels of our own, and functions of other libraries."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.run.native.numbers import philox
from chainrule.run.native.numbers.kernels import KERNELS, SHARED
from chainrule.run.native.numbers.trigonometric import HELPERS
from chainrule.run.native.runtime.externals import declaration


def definitions(needs: set[str]) -> tuple[list[str], tuple[str, ...]]:
    """Kernels, with what they need themselves, and declarations of what is external."""
    known = {k.symbol(t): (k.text, t) for k in KERNELS.values() for t in ("float", "double")}
    known |= {
        k.symbol(t) + SHARED: (k.shared, t) for k in KERNELS.values() for t in ("float", "double")
    }
    known |= {philox.symbol(t): (philox.definition, t) for t in ("float", "double")}
    texts: dict[str, str] = {}
    imports: list[str] = []
    waiting: Sequence[str] = sorted(needs)
    while waiting:
        more: set[str] = set()
        for name in waiting:
            if name in texts:
                continue
            if name in HELPERS:
                helper, own = HELPERS[name]
                texts[name] = helper()
                more |= own
            elif name in known:
                write, type = known[name]
                texts[name], own = write(type)
                more |= own
            else:
                texts[name] = declaration(name)
                imports.append(name)
        waiting = sorted(more)
    return list(texts.values()), tuple(imports)
