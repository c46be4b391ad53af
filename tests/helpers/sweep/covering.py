"""A pairwise covering of the combinations of one function, for machine code, which takes long to
make: every two values (of keywords, shapes, dtypes, kinds of numbers) that occur together in a
combination that NumPy takes occur together in one that is chosen.

What NumPy refuses we refuse while recording, whatever the executor; that the full product shows.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from tests.helpers.sweep.cases import Case, cases
from tests.helpers.sweep.verdicts import numpys, quiet

THRESHOLDS = (0.9, 0.6, 0.3, 0.0)
"""First what has many new pairs: a greedy choice, at the cost of four readings of the list."""


def covering(name: str, seed: int = 0) -> Iterator[Case]:
    with quiet():
        left = [(case, pairs(case)) for case in cases(name) if numpys(case)[1] is None]
    random.Random(f"{name} {seed}").shuffle(left)
    seen: set[frozenset[str]] = set()
    for threshold in THRESHOLDS:
        for case, found in left:
            if len(found - seen) > threshold * len(found):
                seen |= found
                yield case


def pairs(case: Case) -> set[frozenset[str]]:
    values = [f"{key}={value!r}" for key, value in case.settings]
    for k, x in enumerate(case.operands):
        values += [f"{k} {x.dtype}", f"{k} {x.shape}", f"{k} {x.flavour}"]
    return {frozenset((case.function, *pair)) for pair in itertools.combinations(values, 2)}
