"""The sweep: every function that is registered, times every keyword of NumPy's signature, times
kinds of arguments, compared with NumPy itself.

``arguments`` says which arrays and which values of keywords there are, ``rows`` what each
function takes, ``cases`` makes the combinations, ``verdicts`` runs and judges one, ``exceptions``
lists with a reason what neither equals NumPy nor is refused as it should be. The full product:
``python -m tests.helpers.sweep``; ``methods`` has the methods, operators and indexing of
arrays, ``covering`` what machine code is tried on.
"""
