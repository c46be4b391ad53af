"""The same work in several libraries, one module each.

A module has a function for each kind of work that its library does (``training``,
``prediction``, ``gradient``), named by ``work.kind``: ``(work, variant) -> Prepared | None``.
"""
