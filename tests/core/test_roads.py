"""Every road by which Python, its library and NumPy reach a traced value.

A road is an expression in ``x``. It gives what it gives of plain numbers, or an error of ours that
names the user's line; what Python or NumPy refuse of plain numbers is refused.
"""

from __future__ import annotations

import builtins
import cmath
import copy
import linecache
import math
import operator
import random
import re
import statistics
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import numpy.polynomial as npp
import pytest

import chainrule as cr
from chainrule.core.traced import Traced
from chainrule.errors import ChainruleError

KINDS: dict[str, Any] = {
    "number": 2.5,
    "float64": np.float64(2.5),
    "zero axes": np.array(2.5),
    "vector": np.array([1.0, 2.0, 3.0]),
    "matrix": np.arange(6.0).reshape(2, 3) + 1,
}
EXPRESSIONS = """
format(x, '.2f')  format(x, '>10')  f'{x}'  f'{x:.3e}'  f'{x!r:>9}'  '%f'%x  '%d'%x  '%s'%x
'{:>9}'.format(x)  divmod(7,x)  pow(2,x)  pow(x,2,3)  pow(2,x,3)  round(x,1)  round(x,-1)
round(1.2,x)  complex(1,x)  int('7',x)  max(x,1)  min(x,1.0)  max([x,2])  max(round(x),1)
round(x)>0  sum([x,x])  sum([x],x)  list(zip(x,x))  {x}  {x:1}  x in [1.0,2.0]  1.0 in x  x in A
x in x  x in {1.0}  x in (x,)  not x  x and 1  x or 1  1 if x else 2  [1,2,3][x]  [1,2,3][:x]
'abc'[x]  [0]*x  x*[0]  [0]*round(x)  (0,)*round(x)  'a'*x  'a'*round(x)  [1.0]+x  x+[1.0]
x+(1.0,)  {1.0:2}[x]  x@x  x**x  x**-1  2**x  x//2  x%2  7//x  7%x  x&1  x|1  x^1  1<<x  x<<1
x>>1  ~x  -x  +x  x<'a'  x=='a'  x!=None  x==None  x+'a'  x+None  x*'a'  x@2  x[0]  x[None]
x['a']  x[1.5]  x[x]  x[:x]  x[True]  x()  [*x]  {**x}  (lambda*a:a)(*x)  json.dumps(x)
json.dumps([x])  struct.pack('d',x)  struct.pack('i',x)  array.array('d',[x])  array.array('d',x)
fractions.Fraction(x)  decimal.Decimal(x)  datetime.timedelta(x)  datetime.timedelta(seconds=x)
time.sleep(x)  random.gauss(x,1)  random.uniform(0,x)  random.randint(0,x)  random.choice(x)
copy.copy(x)  copy.deepcopy(x)  pickle.dumps(x)  weakref.ref(x)
functools.reduce(operator.add,[x,x])  functools.lru_cache(abs)(x)
list(itertools.accumulate([x,x]))  list(itertools.repeat(1,x))  list(itertools.islice([1,2],x))
A.dot(x)  A.clip(0,x)  A.take(x)  A.repeat(x)  A.searchsorted(x)  A.put(0,x)  A.fill(x)
A.choose(x)  A.compress(x)  A.reshape(x)  A.sum(axis=x)  A.sum(initial=x)  A.sum(where=x)
A.max(initial=x)  A.round(x)  M.trace(x)  A.partition(x)  M.swapaxes(0,x)  A.view(x)  A.astype(x)
A.item(x)  A.std(ddof=x)  A.mean(where=x)  A.cumsum(x)  A.argmax(x)  A.setfield(x,float)
A.tobytes(x)  A[x]  A[x:]  A[:x]  A[x>1]  M[0,x]  M[x,x]  A[[x,x]]  A.flat[x]  A.__setitem__(0,x)
A.__setitem__(x,1.0)  A.__setitem__(slice(None),x)  A.flat.__setitem__(0,x)  A.__contains__(x)
divmod(A,x)  A@x  A**x  np.arange(x)  np.arange(0,x)  np.array(x)  np.array([x,x])
np.asarray([x])  np.require(x)  np.r_[x,1.0]  np.r_[x:2]  np.r_['0,2',x]  np.c_[x,x]
np.mgrid[0:x]  np.s_[x]  np.eye(x)  np.zeros(x)  np.zeros((x,2))  np.ones(round(x))  np.full(2,x)
np.full(x,1.0)  np.tri(x)  np.indices(x)  np.linspace(0,1,x)  np.linspace(0,x,3)  np.ix_(x)
np.random.default_rng(x)  RNG.normal(x)  RNG.choice(x)
RNG.normal(size=round(x))  npp.Polynomial(x)  npp.Polynomial([x,x])  P(x)  P+x  x+P  P*x  P/x
P==x  P**x  P.deriv(x)  P.deriv(round(x))  P.integ(k=x)  P.linspace(x)  P.fit(x,x,1)
npp.Polynomial.fromroots(x)  npp.Chebyshev([1.,2.])(x)  npp.Hermite([1.,2.])(x)
npp.polynomial.polyval(x,[1.,2.])  npp.polynomial.polyval(2.0,x)  npp.polynomial.polyroots(x)
np.poly1d(x)  np.poly1d([1.,2.])(x)  np.poly1d([1.,2.])+x  np.vectorize(abs)(x)
np.frompyfunc(abs,1,1)(x)  list(np.nditer(x))  list(np.ndenumerate(x))  np.broadcast(x,A)
np.fromiter([x,x],float)  np.frombuffer(x)  np.ma.array(x)  np.matrix(x)
np.testing.assert_allclose(x,1.0)  np.array2string(x)  np.isscalar(x)  np.iterable(x)  np.size(x)
np.dtype(x)  np.result_type(x,1.0)  np.finfo(x)  np.broadcast_shapes(round(x))  np.bartlett(x)
np.kaiser(3,x)  np.timedelta64(round(x))  np.block([[x]])  np.ctypeslib.as_ctypes(x)
np.rec.array(x)  np.from_dlpack(x)  np.lib.stride_tricks.as_strided(x)
np.linalg.matrix_power(M@M.T,round(x))  np.append(A,x)  np.append([1.0],[x])  np.insert(A,0,x)
np.concatenate([A,[x]])  np.sum([x,x])  np.add.reduce([x,x])  np.add([x,x],1.0)  np.sin([x])
np.where([x],1,2)  np.mean([x])  np.outer([x],A)
"""
"""Two spaces or a line between two."""
LIBRARY = ("array", "cmath", "copy", "datetime", "decimal", "fractions", "functools", "itertools")
LIBRARY += (
    "json",
    "math",
    "operator",
    "pickle",
    "random",
    "statistics",
    "struct",
    "time",
    "weakref",
)
LENIENT = {
    "np.dtype(x)",
    "np.finfo(x)",
    "A.view(x)",
    "A.astype(x)",
    "x[None]",
    "x[True]",
    "weakref.ref(x)",
    "np.array2string(x)",
}
LENIENT |= {"operator.concat(x,x)", "operator.iconcat(x,x)", "operator.imatmul(x,x)"}
"""What is taken though numbers, or NumPy, have no such thing; so are an array's attributes."""
BUILTINS = set(dir(builtins)) - {
    "input",
    "breakpoint",
    "exit",
    "quit",
    "help",
    "print",
    "open",
    "id",
}
SCALARS = (
    "float64",
    "float32",
    "float16",
    "int64",
    "int8",
    "uint8",
    "bool",
    "complex128",
    "str_",
    "datetime64",
)
ELSEWHERE = {"__getattribute__", "__setattr__", "__delattr__", "__init__", "__new__", "__reduce__"}
ELSEWHERE |= {"__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__", "__dlpack__"}
ELSEWHERE |= {
    "__dlpack_device__",
    "__class__",
    "__dir__",
    "__doc__",
    "__format__",
    "__sizeof__",
    "__buffer__",
}


def _public(module: ModuleType) -> list[str]:
    return [n for n in dir(module) if n[0] != "_" and callable(getattr(module, n))]


def _roads() -> list[str]:
    found = re.split(r" {2,}|\n", EXPRESSIONS.strip())
    found += [f"{name}(x)" for name in sorted(BUILTINS) if name[0].islower()]
    for module in (math, cmath, statistics):
        name = module.__name__
        found += [f"{name}.{f}({a})" for f in _public(module) for a in ("x", "x,2", "2,x", "[x,x]")]
    found += [f"operator.{f}({a})" for f in _public(operator) for a in ("x", "x,x", "x,2", "2,x")]
    found += [f"np.{name}({a})" for name in SCALARS for a in ("x", "[x]")]
    names = {n for kind in (np.ndarray, np.float64, float) for n in dir(kind)} - ELSEWHERE
    found += [f"x.{n}{a}" for n in sorted(names) for a in ("", "()", "(1)", "(x)")]
    return found


ROADS = _roads()
SOURCE = [f"f{k} = lambda x: {road}\n" for k, road in enumerate(ROADS)]
FILE = "<roads>"


def _functions() -> list[Callable[[Any], Any]]:
    """The roads as functions whose source is at hand, one a line."""
    linecache.cache[FILE] = (len(SOURCE), None, SOURCE, FILE)
    names = {name: __import__(name) for name in LIBRARY}
    names |= {"np": np, "npp": npp, "A": np.array([1.0, 2.0, 3.0]), "M": np.ones((2, 3))}
    names |= {"P": npp.Polynomial([1.0, 2.0]), "RNG": np.random.Generator(np.random.Philox(0))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd syntax
        exec(compile("".join(SOURCE), FILE, "exec"), names)
    return [names[f"f{k}"] for k in range(len(SOURCE))]


def _outcome(f: Callable[[Any], Any], x: Any) -> Any:
    random.seed(0)
    try:
        return f(copy.copy(x))
    except Exception as error:
        return error


def _recorded(f: Callable[[Any], Any], x: Any, way: Any) -> Any:
    """What ``f`` gives inside a recording: the number behind it where it is known."""
    kept: list[Any] = []

    def inside(x: Any) -> Any:
        y = f(x)
        kept.append(_number(y))
        return np.sum(x) * 1.0

    error = _outcome(way(inside), x)
    return error if isinstance(error, Exception) else kept[0]


def _number(y: Any) -> Any:
    if isinstance(y, (list, tuple)):
        return [_number(part) for part in y]
    return y.recording.value(y.node) if type(y) is Traced else y


def _verdict(k: int, plain: Any, ours: Any) -> str:
    """What is wrong with an outcome; "" if nothing."""
    if isinstance(ours, ChainruleError):
        return "" if f"{FILE}:{k + 1}" in str(ours) else f"no line in: {ours}"
    if isinstance(plain, AttributeError) and ROADS[k][:2] == "x.":
        return ""
    if isinstance(ours, Exception):
        return "" if type(ours) is type(plain) else f"raw {ours!r}"
    if isinstance(plain, Exception):
        text = isinstance(ours, str)  # of a value that is not known
        return (
            ""
            if text or ROADS[k] in LENIENT or ROADS[k][:2] == "x."
            else f"{ours!r:.40} not {plain!r}"
        )
    # With AVX-512 NumPy rounds powers of arrays and of its own numbers in different ways.
    rtol = 2.0**-52 if "pow" in ROADS[k] or "**" in ROADS[k] else 0.0
    same = "None" in str(ours) or _same(ours, plain, rtol)
    return "" if same else f"{ours!r:.60} instead of {plain!r:.60}"


def _same(ours: Any, plain: Any, rtol: float = 0.0) -> bool:
    """Whether numbers agree; of anything else nothing is said."""
    if isinstance(plain, (list, tuple)):
        return len(ours) == len(plain) and all(
            _same(a, b, rtol) for a, b in zip(ours, plain, strict=True)
        )
    if not isinstance(plain, (int, float, np.ndarray, np.generic)) or isinstance(plain, str):
        return True
    numbers = isinstance(ours, (int, float, np.ndarray, np.generic))
    if not numbers or np.shape(ours) != np.shape(plain):
        return False
    if rtol and np.asarray(plain).dtype.kind in "fc":
        return np.allclose(ours, plain, rtol=rtol, atol=0, equal_nan=True)
    return np.array_equal(ours, plain, equal_nan=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", [cr.grad, cr.trace])
@pytest.mark.filterwarnings("ignore")
def test_every_road(kind: str, way: Callable[..., Any]) -> None:
    wrong = {}
    for k, f in enumerate(_functions()):
        x = KINDS[kind]
        ours = _recorded(f, x, way)
        verdict = _verdict(k, _outcome(f, x), ours)
        if verdict:
            wrong[ROADS[k]] = verdict
    assert not wrong, "\n".join(f"{road}: {verdict}" for road, verdict in wrong.items())
