"""Derivatives as people write them: function, variable, spellings that are all right."""

from __future__ import annotations

SPELLINGS: list[tuple[str, str, list[str]]] = [
    ("x**3*exp(-x)", "x", [
        "(3x² − x³)e^{-x}", "x^2 (3-x) e^-x", "3x²e^(−x) − x³e^(−x)", "x^{2}e^{-x}(3-x)",
        "x²(3 − x)/eˣ"]),
    ("sin(x)/x", "x", [
        "(x cos x − sin x)/x²", "cos(x)/x - sin(x)/x^2", r"\frac{x\cos x-\sin x}{x^2}",
        "x⁻¹ cos x − x⁻² sin x", "(cos x)/x − (sin x)/x²"]),
    ("(x**2+1)**5", "x", [
        "10x(x²+1)⁴", "5(x^2+1)^4 * 2x", "10 x (1+x^2)^4", r"10x\left(x^{2}+1\right)^{4}",
        "10x⁹+40x⁷+60x⁵+40x³+10x"]),
    ("log(cos(x))", "x", [
        "-tan x", "−sin(x)/cos(x)", r"-\tan(x)", "- sin x / cos x", r"-\frac{\sin x}{\cos x}"]),
    ("exp(a*x)*cos(b*x)", "x", [
        "e^{ax}(a cos(bx) − b sin(bx))", "a e^(a x) cos(b x) - b e^(a x) sin(b x)",
        r"e^{ax}\left(a\cos bx-b\sin bx\right)", "exp(ax)(a cos bx − b sin bx)",
        "(a*cos(b*x)-b*sin(b*x))*exp(a*x)"]),
    ("sqrt(1+x**2)", "x", [
        "x/√(1+x²)", "x (1+x^2)^(-1/2)", r"\frac{x}{\sqrt{1+x^{2}}}", "x/(x^2+1)^0.5",
        "x(x²+1)^{-½}"]),
    ("arctan(x)", "x", [
        "1/(1+x²)", "(1+x^2)^-1", r"\frac{1}{x^2+1}", "cos²(arctan x)", "1 / (x*x + 1)"]),
    ("log(1+exp(x))", "x", [
        "σ(x)", "e^x/(1+e^x)", "1/(1+e^{-x})", r"\sigma(x)", "1 − σ(−x)"]),
    ("x/(1+exp(-x))", "x", [
        "σ(x) + x σ(x)(1−σ(x))", "sigma(x)*(1+x*(1-sigma(x)))",
        r"\sigma(x)\left(1+x(1-\sigma(x))\right)", "(1 + e^-x + x e^-x)/(1+e^-x)^2",
        "σ(x)(1 + xσ(−x))"]),
    ("exp(-x**2/2)/sqrt(2*pi)", "x", [
        "−x/√(2π) e^{−x²/2}", "-x exp(-x^2/2)/sqrt(2pi)", r"-\frac{x}{\sqrt{2\pi}}e^{-x^2/2}",
        "-(x/sqrt(2π))exp(-x²/2)", r"\frac{-x e^{-\frac{x^2}{2}}}{\sqrt{2\pi}}"]),
    ("(w*x+b-y)**2", "w", [
        "2x(wx+b−y)", "2(wx + b - y)x", "2wx² + 2bx − 2xy", r"2x\,(wx+b-y)", "-2x(y - wx - b)"]),
    ("-y*log(p)-(1-y)*log(1-p)", "p", [
        "−y/p + (1−y)/(1−p)", "(p-y)/(p(1-p))", r"\frac{p-y}{p(1-p)}", "(1-y)/(1-p) - y/p",
        r"-\frac{y}{p}+\frac{1-y}{1-p}"]),
    ("log(1+exp(-y*z))", "z", [
        "−y σ(−yz)", "-y/(1+e^{yz})", r"\frac{-y}{1+e^{yz}}", "-y e^(-yz)/(1+e^(-yz))",
        "y(σ(yz) − 1)"]),
    ("lam*w**2/2", "w", [
        "λw", "lambda w", "lam*w", r"\lambda w", "w·λ"]),
    ("alpha*x**2+beta*x", "x", [
        "2αx + β", "β+2αx", r"2\alpha x+\beta", "2 alpha x + beta", "α·2x + β"]),
    ("x**x", "x", [
        "x^x (ln x + 1)", "xˣ(1 + ln x)", r"x^x(\ln x+1)", "x^x ln(x) + x^x",
        "e^(x ln x)(1+ln x)"]),
    ("2**x", "x", [
        "2^x ln 2", "2ˣ ln(2)", r"2^x\ln 2", "ln2 · 2^x", "log(2)*2**x"]),
    ("log2(x)", "x", [
        "1/(x ln 2)", "1/(ln(2)·x)", r"\frac{1}{x\ln 2}", "log₂(e)/x", "(x log 2)^-1"]),
    ("abs(x)**3", "x", [
        "3x|x|", "3|x|² sgn(x)", "3 x² sign(x)", "3*abs(x)*x", r"3x\left|x\right|"]),
    ("arcsin(x)", "x", [
        "1/√(1−x²)", "(1-x^2)^(-1/2)", r"\frac{1}{\sqrt{1-x^2}}", "1/cos(arcsin x)",
        "1/sqrt(1 - x*x)"]),
    ("sin(x)**2", "x", [
        "2 sin x cos x", "sin 2x", "sin(2x)", r"2\sin x\cos x", "2cos(x)sin(x)"]),
    ("cos(x**3)", "x", [
        "−3x² sin(x³)", "-3x^2 sin x^3", r"-3x^2\sin(x^3)", "-sin(x^3)*3x^2", "−sin(x³)·3x²"]),
    ("tanh(w*x)", "w", [
        "x(1 − tanh²(wx))", "x sech²(wx)", "x - x tanh(w x)^2", r"x\left(1-\tanh^2(wx)\right)",
        "x/cosh²(wx)"]),
    ("x*y*z", "y", [
        "xz", "x z", "x·z", "zx", "x*z"]),
    ("x**2*y+exp(x*y)", "x", [
        "2xy + y e^{xy}", "y(2x + e^(xy))", "2xy+ye^{xy}", "y e^(xy) + 2 x y", "2xy + y exp(xy)"]),
    ("1/x**3", "x", [
        "-3/x^4", "−3x⁻⁴", "-3x^{-4}", r"-\frac{3}{x^4}", "-3 ÷ x⁴"]),
    ("x**(2/3)", "x", [
        "2/(3∛x)", "(2/3)x^(-1/3)", r"\frac{2}{3}x^{-1/3}", r"\frac{2}{3\sqrt[3]{x}}",
        "⅔ x^(−1/3)"]),
    ("log(x+sqrt(x**2+1))", "x", [
        "1/√(x²+1)", "1/sqrt(x^2+1)", r"\frac{1}{\sqrt{x^2+1}}", "(1+x/√(x²+1))/(x+√(x²+1))",
        "(x^2+1)^{-1/2}"]),
    ("(x-mu)**2/(2*sigma**2)", "mu", [
        "−(x−μ)/σ²", "(μ - x)/σ^2", r"\frac{\mu-x}{\sigma^2}", "(mu - x)/sigma^2",
        r"-\frac{x-\mu}{\sigma^{2}}"]),
    ("(x-mu)**2/(2*sigma**2)+log(sigma)", "sigma", [
        "1/σ − (x−μ)²/σ³", "(σ² − (x−μ)²)/σ³", r"\frac{1}{\sigma}-\frac{(x-\mu)^2}{\sigma^3}",
        "sigma^-1 - (x-mu)^2 sigma^-3", "-(x-mu)**2/sigma**3 + 1/sigma"]),
    ("(2*x+1)/(x-3)", "x", [
        "−7/(x−3)²", "-7/(x-3)^2", r"-\frac{7}{(x-3)^2}", "(2(x-3) - (2x+1))/(x-3)^2",
        "-7(x-3)^{-2}"]),
    ("max(0,1-y*z)", "z", [
        "−y [yz < 1]", "where(y*z < 1, -y, 0)", "-y[1 - y z > 0]", r"-y\,[1-yz>0]"]),
    ("x**4/4-x**3/3", "x", [
        "x³ − x²", "x²(x−1)", "x^3-x^2", "x^2 (x - 1)", "x^3-x^2"]),
    ("exp(sin(x))", "x", [
        "cos x e^{sin x}", "e^(sin x) cos x", r"\cos(x)e^{\sin x}", "cos(x)·exp(sin x)",
        "exp(sin(x))*cos(x)"]),
    ("log(log(x))", "x", [
        "1/(x ln x)", "1/(x log(x))", r"\frac{1}{x\ln x}", "(x ln x)⁻¹", "x^-1 / ln(x)"]),
    ("theta**k*(1-theta)**(n-k)", "theta", [
        "k θ^(k−1)(1−θ)^(n−k) − (n−k)θ^k(1−θ)^(n−k−1)",
        r"\theta^{k-1}(1-\theta)^{n-k-1}(k-n\theta)",
        "theta^(k-1) (1-theta)^(n-k-1) (k - n theta)", "θ^k (1−θ)^(n−k) (k/θ − (n−k)/(1−θ))",
        r"\theta^k(1-\theta)^{n-k}\left(\frac{k}{\theta}-\frac{n-k}{1-\theta}\right)"]),
    ("x*cosh(x)-sinh(x)", "x", [
        "x sinh x", "x sinh(x)", r"x\sinh x", "x(e^x − e^-x)/2", "sinh(x)*x"]),
    ("0.1*x**2+0.25*x", "x", [
        "0.2x + 0.25", "x/5 + 1/4", "0.2x+¼", r"\frac{x}{5}+\frac14", "(4x+5)/20"]),
    ("1/2*(t-logistic(w*x))**2", "w", [
        "(σ(wx) − t)σ(wx)(1−σ(wx))x", "-(t-σ(wx)) σ(wx) (1-σ(wx)) x",
        r"(\sigma(wx)-t)\,\sigma(wx)\,(1-\sigma(wx))\,x",
        "x (sigma(w x) - t) sigma(w x) (1 - sigma(w x))"]),
    ("log(sigma)+(x-mu)**2/(2*sigma**2)", "mu", [
        "(μ−x)/σ²", "-(x-μ)/σ^2", r"\frac{\mu-x}{\sigma^{2}}", "(mu-x) sigma^-2",
        "σ^{-2}(μ − x)"]),
    ("(1-p)**k*p", "p", [
        "(1−p)^k − kp(1−p)^{k−1}", r"(1-p)^{k-1}\left(1-p-kp\right)", "(1-p)^(k-1) (1-(k+1)p)",
        "(1 - p)**k - k*p*(1 - p)**(k - 1)", "(1−p)ᵏ(1 − kp/(1−p))"]),
    ("x**2*log(x)", "x", [
        "2x ln x + x", "x(2 ln x + 1)", "x(1 + ln x²)", r"x\left(1+2\ln x\right)",
        "2x·log(x) + x"]),
    ("exp(-lam*t)", "t", [
        "−λe^{−λt}", "-lambda exp(-lambda t)", r"-\lambda e^{-\lambda t}", "-lam e^(-lam t)",
        "−λ/e^{λt}"]),
    ("gamma*(x-mu)/sqrt(v+eps)+beta", "x", [
        "γ/√(v+ε)", "gamma/sqrt(v + eps)", r"\frac{\gamma}{\sqrt{v+\varepsilon}}",
        "γ(v+ε)^{-1/2}", r"\gamma (v+\epsilon)^{-\frac12}"]),
    ("1/(1+x**2)**2", "x", [
        "-4x/(1+x^2)^3", "−4x(1+x²)⁻³", r"\frac{-4x}{\left(1+x^2\right)^3}", "-4x ÷ (1+x²)³",
        "-2(1+x²)^-3 · 2x"]),
    ("sinh(x)/cosh(x)", "x", [
        "1 − tanh² x", "sech²x", "1/cosh² x", "1/cosh(x)^2", r"\operatorname{sech}^2 x"]),
    ("x*exp(-x/tau)", "x", [
        "(1 − x/τ)e^{−x/τ}", r"\left(1-\frac{x}{\tau}\right)e^{-x/\tau}",
        "e^(-x/tau) - x/tau e^(-x/tau)", "exp(-x/tau)(tau - x)/tau", "e^{-x/τ}(τ−x)/τ"]),
    ("x**2*log(x)", "x", ["2x ln x + x", "x(2 ln x + 1)", r"x\left(1+2\ln x\right)"]),
    ("exp(2*x)/(1+x)", "x", [
        "(2x+1)e^{2x}/(1+x)²", "e^(2x)(2/(1+x) − 1/(1+x)^2)", r"\frac{(1+2x)e^{2x}}{(1+x)^{2}}"]),
    ("sin(2*x+1)**3", "x", [
        "6 sin²(2x+1) cos(2x+1)", "6 cos(2x+1) sin(2x+1)^2", r"6\sin^2(2x+1)\cos(2x+1)"]),
    ("log(3*x**2+1)", "x", ["6x/(3x²+1)", "6x (1+3x^2)^-1", r"\frac{6x}{3x^2+1}"]),
    ("x*arctan(x)", "x", [
        "arctan x + x/(1+x²)", "tan⁻¹(x) + x/(x^2+1)", r"\arctan x+\frac{x}{1+x^2}"]),
    ("sqrt(2*x-1)", "x", ["1/√(2x−1)", "(2x-1)^{-1/2}", r"\frac{1}{\sqrt{2x-1}}"]),
    ("tan(x)", "x", ["1/cos²x", "1 + tan²x", r"\sec^2 x"]),
    ("(1-x)/(1+x)", "x", ["−2/(1+x)²", "-2(1+x)^-2", r"\frac{-2}{(1+x)^2}"]),
    ("exp(-(x-m)**2)", "m", ["2(x−m)e^{−(x−m)²}", "2(x-m) exp(-(x-m)^2)", "2(x-m)e^{-(x-m)^2}"]),
    ("x**3*y**2+x*y", "y", ["2x³y + x", "x(2x²y+1)", "2x^{3}y+x"]),
    ("x*exp(y/x)", "y", ["e^{y/x}", "exp(y/x)", r"e^{\frac{y}{x}}"]),
    ("x*exp(y/x)", "x", [
        "e^{y/x}(1 − y/x)", "exp(y/x) - (y/x) exp(y/x)", r"e^{y/x}\left(1-\frac{y}{x}\right)"]),
    ("log(x**2+y**2)/2", "x", ["x/(x²+y²)", "x (x^2+y^2)^(-1)", r"\frac{x}{x^2+y^2}"]),
    ("arctan(y/x)", "y", ["x/(x²+y²)", "1/(x(1+y²/x²))", r"\frac{x}{x^2+y^2}"]),
    ("sin(x*y)*exp(z)", "x", ["y cos(xy) e^z", "y e^z cos(x y)", r"ye^{z}\cos(xy)"]),
    ("(a*x+b)/(c*x+d)", "x", [
        "(ad − bc)/(cx+d)²", "(a d - b c)/(c x + d)^2", r"\frac{ad-bc}{(cx+d)^2}"]),
    ("w1*x1+w2*x2+b", "w2", ["x₂", "x_2", "x2"]),
    ("(sigma(w*x)-y)**2", "w", [
        "2(σ(wx)−y)σ(wx)(1−σ(wx))x", "2x(σ(wx)-y)σ(wx)(1-σ(wx))",
        r"2x\left(\sigma(wx)-y\right)\sigma(wx)\left(1-\sigma(wx)\right)"]),
    ("tanh(x)**2", "x", [
        "2 tanh x (1 − tanh² x)", "2tanh(x) - 2tanh(x)^3", r"2\tanh x\,(1-\tanh^2 x)"]),
    ("y*log(1+exp(-x))+(1-y)*x", "x", [
        "−y/(1+e^x) + 1 − y", "1 - y - y σ(-x)", r"1-y-\frac{y}{1+e^{x}}"]),
    ("max(x,2*x)", "x", ["where(x>0, 2, 1)", "2[x > 0] + [x < 0]"]),
    ("max(0,x)**2", "x", ["2 max(0,x)", "2x [x>0]", "2 relu(x)"]),
    ("abs(3*x-1)", "x", ["3 sign(3x−1)", "3(3x-1)/|3x-1|", r"\frac{3(3x-1)}{|3x-1|}"]),
    ("1/(1+x**2)**2", "x", ["−4x/(1+x²)³", "-4x(1+x^2)^{-3}", r"-\frac{4x}{(1+x^2)^3}"]),
    ("x**(1/3)*(x-1)", "x", [
        "(4x−1)/(3x^(2/3))", "(x-1)/(3 x^(2/3)) + x^(1/3)", r"\frac{4x-1}{3x^{2/3}}"]),
    ("3**(2*x)", "x", ["2 ln 3 · 3^{2x}", "ln(9) 9^x", r"2\ln(3)\,3^{2x}"]),
    ("log(sigma(x))", "x", ["1 − σ(x)", "σ(−x)", r"1-\sigma(x)"]),
    ("x/sqrt(x**2+1)", "x", ["(x²+1)^{−3/2}", "1/(x^2+1)^1.5", r"\frac{1}{(x^2+1)^{3/2}}"]),
    ("cosh(2*x)", "x", ["2 sinh 2x", "e^{2x} − e^{−2x}", r"2\sinh(2x)"]),
    ("exp(x)*sin(x)", "x", [
        "e^x (sin x + cos x)", "e^x sin x + e^x cos x", r"e^{x}\left(\sin x+\cos x\right)"]),
    ("ln(x)/x**2", "x", ["(1 − 2 ln x)/x³", "x^-3 - 2 x^-3 ln x", r"\frac{1-2\ln x}{x^{3}}"]),
    ("p*log(p/q)", "p", ["log(p/q) + 1", r"\ln\frac{p}{q}+1"]),
    ("p*log(p/q)", "q", ["−p/q", "-p q^-1", r"-\frac{p}{q}"]),
    ("u*v/(u+v)", "u", ["v²/(u+v)²", "(v/(u+v))^2", r"\frac{v^2}{(u+v)^2}"]),
    ("k*exp(-k*t)", "k", ["e^{−kt}(1 − kt)", "exp(-k t) - k t exp(-k t)", "(1-kt)e^{-kt}"]),
    ("(x-1)*(x-2)*(x-3)", "x", [
        "3x² − 12x + 11", "(x-2)(x-3)+(x-1)(x-3)+(x-1)(x-2)", "3x^{2}-12x+11"]),
    ("sin(cos(x))", "x", ["−sin x cos(cos x)", "-cos(cos(x)) sin(x)", r"-\sin x\cos(\cos x)"]),
    ("exp(x*y)+x/y", "y", ["x e^{xy} − x/y²", "x(e^(xy) - y^-2)", r"xe^{xy}-\frac{x}{y^2}"]),
    ("0.5*(y-w*x)**2+0.01*w**2", "w", ["−x(y−wx) + 0.02w", "x(wx-y)+w/50", "-x(y-wx)+0.02w"]),
    ("log(1-exp(-x))", "x", ["1/(e^x − 1)", "e^-x/(1-e^-x)", r"\frac{1}{e^{x}-1}"]),
]  # fmt: skip
