"""Random programs that write in place, made by trying one statement after another on NumPy.

A program is the text of a function of ``x`` and ``y``. Its statements make arrays and views of
arrays, and write into them; each was accepted by NumPy, which is the oracle for the values of all
arrays at the end. ``like=x`` is how a traced program makes arrays; NumPy's own gets ``x``'s dtype.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

SHAPES = [(6,), (3, 4), (2, 3, 2), (4, 4), (1, 5), ()]
Arrays = dict[str, np.ndarray]


class Program:
    """Statements, and how many of them were kept; ``rng`` makes all choices."""

    def __init__(self, seed: int, length: int = 10) -> None:
        self.rng = np.random.Generator(np.random.Philox(seed))
        self.lines: list[str] = []
        shapes = [SHAPES[self.rng.integers(len(SHAPES) - 1)] for _ in range(2)]
        self.arguments = [self.rng.uniform(-2, 2, shape) for shape in shapes]
        self.known: dict[str, Any] = {
            "np": np, "x": self.arguments[0].copy(), "y": self.arguments[1].copy()
        }  # fmt: skip
        self.names = ["x", "y"]
        for _ in range(60):
            if len(self.lines) == length:
                break
            self.extend()

    # Statements -----------------------------------------------------------------------------

    def extend(self) -> None:
        """Add a statement that NumPy accepts, if the one that is drawn is one."""
        kind = self.rng.choice(["make", "view", "write", "function"], p=[0.15, 0.3, 0.4, 0.15])
        name = f"v{len(self.names) - 2}"
        if kind in ("make", "view"):
            line = f"{name} = {getattr(self, kind)()}"
        else:
            line = getattr(self, kind)()
        if line and self.accepted(line):
            self.lines.append(line)
            if kind in ("make", "view"):
                self.names.append(name)

    def accepted(self, line: str) -> bool:
        before = dict(self.known)
        copies = {k: v.copy() for k, v in self.known.items() if isinstance(v, np.ndarray)}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                exec(plain(line), self.known)
        except Exception:
            for k, v in copies.items():
                if before[k].flags.writeable:
                    before[k][...] = v
            self.known = before
            return False
        target = line.split(" = ")[0]
        made = self.known.get(target)
        small = not isinstance(made, np.ndarray) or made.size <= 40
        if not small:
            self.known = before
        return small and (target not in self.known or isinstance(made, np.ndarray))

    def pick(self, axes: int = 0) -> str:
        found = [n for n in self.names if self.known[n].ndim >= axes and self.known[n].size]
        return str(self.rng.choice(found)) if found else "x"

    def make(self) -> str:
        a = self.pick()
        shape = SHAPES[self.rng.integers(len(SHAPES))]
        return self.one(
            f"np.zeros_like({a})", f"np.ones_like({a})", f"np.full_like({a}, 0.5)", f"{a}.copy()",
            f"np.copy({a})", f"np.zeros({shape}, like=x)", f"np.full({shape}, 1.5, like=x)",
            f"np.ones({shape}, like=x)", f"np.sin({a})", f"{a} * 2.0", f"np.array({a}, like=x)",
            f"np.asarray({a}, like=x)", f"{a}.flatten()", f"{a}.astype({a}.dtype)",
            f"np.concatenate([{a}, {a}])", f"np.roll({a}, 1)", f"+{a}", f"np.zeros_like({a}.T)",
            f"{a}[{self.index(a, advanced=True)}]", f"np.tile({a}, 1)", f"np.sort({a})",
            f"np.where({a} > 0, {a}, 1.0)", f"np.zeros({shape}, order='F', like=x)",
        )  # fmt: skip

    def view(self) -> str:
        a = self.pick()
        v = self.known[a]
        views = [
            f"{a}[{self.index(a)}]", f"{a}[{self.index(a)}]", f"{a}[{self.index(a)}]", f"{a}.T",
            f"{a}.reshape(-1)", f"np.ravel({a})", f"{a}[None]", f"{a}[..., None]", f"{a}[...]",
            f"np.squeeze({a})", f"np.expand_dims({a}, 0)", f"np.atleast_2d({a})", f"np.flip({a})",
            f"{a}.transpose()", f"np.real({a})", f"{a}", f"np.broadcast_to({a}, (2, *{a}.shape))",
            f"np.reshape({a}, ({a}.size, 1))",
        ]  # fmt: skip
        if v.ndim > 1:
            views += [
                f"np.swapaxes({a}, 0, 1)", f"np.moveaxis({a}, 0, -1)", f"np.rot90({a})",
                f"np.diagonal({a})", f"np.split({a}, {v.shape[0]})[0]",
                f"{a}.reshape({v.shape[::-1]})",
                f"np.array_split({a}, 2)[-1]", f"np.unstack({a})[0]", f"{a}.mT", f"np.fliplr({a})",
                f"{a}.reshape({v.shape[0]}, -1)", f"list({a})[-1]",
            ]  # fmt: skip
        return self.one(*views)

    def write(self) -> str:
        a = self.pick()
        index = self.index(a, advanced=self.rng.random() < 0.35)
        place = f"{a}[{index}]"
        if self.rng.random() < 0.2:
            place = a
        shape = self.shape_of(place)
        operator = self.one("=", "+=", "-=", "*=", "=", "=", "/=")
        if place == a and operator == "=":
            place = f"{a}[...]"
        return f"{place} {operator} {self.value(shape, operator)}"

    def function(self) -> str:
        a, b = self.pick(), self.pick()
        v = self.known[a]
        k = self.rng.integers(0, v.size, 3).tolist() if v.size else [0]
        axis = int(self.rng.integers(v.ndim)) if v.ndim else 0
        same = [n for n in self.names if self.known[n].shape == v.shape]
        c = str(self.rng.choice(same))
        j = self.rng.integers(0, v.shape[0], 3).tolist() if v.ndim else []
        return self.one(
            f"np.put({a}, {k}, {self.value((3,))})", f"{a}.put({k}, 0.25)",
            f"np.add.at({a}, {j}, {self.value(())})", f"np.subtract.at({a}, {j}, {c}[{j}])",
            f"np.multiply.at({a}, {j}, 1.5)", f"np.negative.at({a}, {j})",
            f"np.fill_diagonal({a}, {self.value(())})", f"np.copyto({a}, {self.value(v.shape)})",
            f"np.copyto({a}, {c}, where={a} > 0.3)", f"np.place({a}, {a} > 0.5, [1.0, 2.0])",
            f"np.place({a}, {c} < 0, [{self.value(())}])", f"np.putmask({a}, {c} > 0, [3.0, 0.5])",
            f"np.putmask({a}, {a} > 0, {c})", f"{a}.fill({self.value(())})", f"{a}.sort({axis})",
            f"np.sin({c}, out={a})", f"np.multiply({c}, {b}, out={a})",
            f"np.add({c}, 1.0, out={a}, where={c} > 0)", f"np.cumsum({c}, {axis}, out={a})",
            f"np.put_along_axis({a}, np.argsort({a}, {axis}, stable=True), {c}, {axis})",
            f"{a}.flat = {b}.copy()",
            f"{a}.flat[{k[0]}] = {self.value(())}", f"np.take({b}, {k}, out={a})",
            f"np.clip({c}, -0.5, 0.5, {a})", f"np.concatenate([{c}], out={a})",
            f"np.nan_to_num({a}, copy=False)",
        )  # fmt: skip

    # Parts ----------------------------------------------------------------------------------

    def index(self, a: str, advanced: bool = False) -> str:
        shape = self.known[a].shape
        if advanced:
            n = shape[0] if shape else 1
            places = self.rng.integers(-n, n, self.rng.integers(1, 4)).tolist()
            choices = [str(places), f"{a} > {self.rng.uniform(-1, 1):.2f}", f"np.array({places})"]
            if len(shape) > 1:
                columns = self.rng.integers(0, shape[1], len(places)).tolist()
                choices += [
                    f"{places}, {columns}", f":, {columns}", f"np.ix_({places}, {columns})",
                    f"{a}[:, 0] > 0", f"{places}, {self.entry(shape[1])}",
                ]  # fmt: skip
            return self.one(*choices)
        count = self.rng.integers(0, len(shape) + 1)
        parts = [self.entry(n) for n in shape[:count]]
        if self.rng.random() < 0.15:
            parts.insert(int(self.rng.integers(0, len(parts) + 1)), "...")
        if self.rng.random() < 0.1:
            parts.insert(int(self.rng.integers(0, len(parts) + 1)), "None")
        return ", ".join(parts) or "..."

    def entry(self, n: int) -> str:
        if self.rng.random() < 0.4 and n:
            return str(self.rng.integers(-n, n))
        start, stop = (self.one("", str(self.rng.integers(-n, n + 1))) for _ in range(2))
        return f"{start}:{stop}:{self.one('', '-1', '2', '-2')}"

    def shape_of(self, place: str) -> Any:
        try:
            return np.shape(eval(place, dict(self.known)))
        except Exception:
            return None

    def value(self, shape: Any, operator: str = "=") -> str:
        """Code for a value that broadcasts to a shape."""
        number = f"{self.rng.uniform(0.5, 2):.2f}"
        if operator == "/=":
            return number
        found = [number]
        for n in self.names:
            v = self.known[n]
            if v.size:
                place = ", ".join(str(self.rng.integers(k)) for k in v.shape)
                found.append(f"{n}[{place or '()'}] * {number}")
            if shape is not None and v.shape == shape:
                found += [n, f"np.sin({n})", f"{n} * {n}"]
            if shape and len(shape) and v.shape == shape[-1:]:
                found.append(n)
            if shape is not None:
                reads = f"{n}[{self.index(n)}]"
                if self.shape_of(reads) == shape:
                    found += [reads, f"{reads} + 0.5", f"np.cos({reads})"]
        return self.one(*found)

    def one(self, *choices: str) -> str:
        return str(choices[self.rng.integers(len(choices))])

    # The program ----------------------------------------------------------------------------

    @property
    def text(self) -> str:
        names = ", ".join(self.names)
        body = "".join(f"    {line}\n" for line in self.lines)
        return f"def program(x, y):\n{body}    return [{names}]\n"

    def function_of(self, text: str) -> Callable[..., Any]:
        known: dict[str, Any] = {"np": np}
        exec(compile(text, f"<program {id(self)}>", "exec"), known)
        return known["program"]

    def on_numpy(self, *arguments: Any) -> list[np.ndarray]:
        """All arrays at the end, as NumPy has them: complex ones too."""
        with np.errstate(all="ignore"):
            return self.function_of(plain(self.text))(*[np.array(a) for a in arguments])

    @property
    def traced(self) -> Callable[..., Any]:
        return self.function_of(self.text)

    def weighted(self, arrays: Any) -> Any:
        """One number that depends on every entry of every array."""
        total: Any = 0.0
        for k, a in enumerate(arrays):
            weights = np.cos(np.arange(a.size) + k).reshape(a.shape)
            total = total + np.sum(weights * a)
        return total


def plain(text: str) -> str:
    """The text for plain arrays: made in the dtype of x, complex in a complex step, whose imaginary
    part must stay."""
    return text.replace("like=x", "dtype=x.dtype").replace("np.real(", "np.asarray(")
