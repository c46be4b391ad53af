"""The error function."""

from __future__ import annotations

from chainrule.run.native.numbers.arithmetic import Float


def erf(f: Float, x: str) -> str:
    """fdlibm's four rational approximations, their coefficients chosen by the size of x."""
    if not f.wide:
        wide = Float("double")
        wide.b = f.b
        result = erf(wide, f.b.do(f"fpext float {x} to double"))
        return f.b.do(f"fptrunc double {result} to float")
    size = f.abs(x)
    small, middle = f.lt(size, f.c(0.84375)), f.lt(size, f.c(1.25))
    near = f.lt(size, f.c(1 / 0.35))
    squared = f.mul(x, x)
    inverse = f.div(f.c(1), squared)
    argument = f.sel(small, squared, f.sel(middle, f.sub(size, f.c(1)), inverse))

    def chosen(k: int, tables: tuple[list[float], ...]) -> str:
        c = [f.c(t[k]) if k < len(t) else f.c(0.0) for t in tables]
        return f.sel(small, c[0], f.sel(middle, c[1], f.sel(near, c[2], c[3])))

    def horner(tables: tuple[list[float], ...]) -> str:
        y = chosen(8, tables)
        for k in range(7, -1, -1):
            y = f.fma(y, argument, chosen(k, tables))
        return y

    ratio = f.div(horner(NUMERATORS), horner(DENOMINATORS))
    by_series = f.fma(x, ratio, x)
    by_shift = f.add(f.c(8.45062911510467529297e-01), ratio)
    # exp(-x^2) as exp(-z^2) exp((z - x)(z + x)), z being x to 20 bits, whose square is exact.
    z = f.from_bits(f.b.do(f"and i64 {f.to_bits(size)}, {-(2**32)}"))
    first = f.kernel("exp", f.sub(f.neg(f.mul(z, z)), f.c(0.5625)))
    second = f.kernel("exp", f.add(f.mul(f.sub(z, size), f.add(z, size)), ratio))
    tail = f.sub(f.c(1), f.div(f.mul(first, second), size))
    tail = f.sel(f.gt(size, f.c(6)), f.c(1), tail)
    large = f.copysign(f.sel(middle, by_shift, tail), x)
    return f.sel(small, by_series, large)


NUMERATORS = (
    [1.28379167095512558561e-01, -3.25042107247001499370e-01, -2.84817495755985104766e-02,
     -5.77027029648944159157e-03, -2.37630166566501626084e-05],
    [-2.36211856075265944077e-03, 4.14856118683748331666e-01, -3.72207876035701323847e-01,
     3.18346619901161753674e-01, -1.10894694282396677476e-01, 3.54783043256182359371e-02,
     -2.16637559486879084300e-03],
    [-9.86494403484714822705e-03, -6.93858572707181764372e-01, -1.05586262253232909814e+01,
     -6.23753324503260060396e+01, -1.62396669462573470355e+02, -1.84605092906711035994e+02,
     -8.12874355063065934246e+01, -9.81432934416914548592e+00],
    [-9.86494292470009928597e-03, -7.99283237680523006574e-01, -1.77579549177547519889e+01,
     -1.60636384855821916062e+02, -6.37566443368389627722e+02, -1.02509513161107724954e+03,
     -4.83519191608651397019e+02],
)  # fmt: skip
DENOMINATORS = (
    [1.0, 3.97917223959155352819e-01, 6.50222499887672944485e-02, 5.08130628187576562776e-03,
     1.32494738004321644526e-04, -3.96022827877536812320e-06],
    [1.0, 1.06420880400844228286e-01, 5.40397917702171048937e-01, 7.18286544141962662868e-02,
     1.26171219808761642112e-01, 1.36370839120290507362e-02, 1.19844998467991074170e-02],
    [1.0, 1.96512716674392571292e+01, 1.37657754143519042600e+02, 4.34565877475229228821e+02,
     6.45387271733267880336e+02, 4.29008140027567833386e+02, 1.08635005541779435134e+02,
     6.57024977031928170135e+00, -6.04244152148580987438e-02],
    [1.0, 3.03380607434824582924e+01, 3.25792512996573918826e+02, 1.53672958608443695994e+03,
     3.19985821950859553908e+03, 2.55305040643316442583e+03, 4.74528541206955367215e+02,
     -2.24409524465858183362e+01],
)  # fmt: skip
