"""Quizzes: the same seed gives the same questions, right answers in any form are right, and
each slip is named."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

from chainrule.checking.slips import SLIPS
from chainrule.cli.quiz import command
from chainrule.errors import ChainruleError, UsageError
from chainrule.explanation.formula.parsing import parse
from chainrule.explanation.matrix.explaining import expression
from chainrule.explanation.matrix.numeric import engine_derivative, evaluate
from chainrule.explanation.quiz import asking as quizzes
from chainrule.explanation.quiz.marking import _Setting, mark_answer
from chainrule.explanation.quiz.numbers import labelled
from chainrule.explanation.quiz.questions import TOPICS, Question
from chainrule.explanation.quiz.slips import scalar_slips, slope_and_value


def formula(function, wrt="x"):
    return Question("formula", "", ("dJ/dx",), "", "", {"function": function, "wrt": wrt})


def numbers(function, at, wrt, tolerance=1e-9):
    asked = tuple(f"∂f/∂{w}" for w in wrt)
    data = {"function": function, "at": at, "wrt": list(wrt)}
    return Question("numbers", "", asked, "", "", data, tolerance)


def in_matrices(function, wrt, answer, sizes=None, given=(), layout="denominator"):
    found = expression(function, wrt=wrt, sizes=sizes or {})[1]
    data = {
        "function": function, "wrt": wrt, "layout": layout, "given": [list(p) for p in given],
        "sizes": {n: list(s.shape) for n, s in found.items()},
        "probabilities": [n for n, s in found.items() if "probabilities" in s.data[1]],
    }  # fmt: skip
    return Question("matrix", "", (f"∂F/∂{wrt}",), answer, "", data)


def judged(question, given):
    return mark_answer(1, question, given)


# Making ------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", TOPICS)
def test_the_same_seed_gives_the_same_quiz_and_another_seed_another(topic):
    assert quizzes.make(topic, 5, 7) == quizzes.make(topic, 5, 7)
    assert quizzes.make(topic, 5, 7).check != quizzes.make(topic, 5, 8).check


@pytest.mark.parametrize("topic", TOPICS)
def test_questions_of_one_quiz_differ(topic):
    made = quizzes.make(topic, 12, 3)
    assert len({q.prompt for q in made.questions}) == 12


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("seed", range(2))
def test_the_key_is_right_by_its_own_marking(topic, seed):
    made = quizzes.make(topic, 10, seed)
    report = quizzes.mark(made, {n: q.answer for n, q in enumerate(made.questions, 1)})
    assert report.right == 10, report.text()
    assert all(q.solution and q.prompt for q in made.questions)


@pytest.mark.parametrize("topic", ["matrix", "network"])
@pytest.mark.parametrize("seed", range(2))
def test_matrix_keys_agree_with_the_engine(topic, seed):
    for question in quizzes.make(topic, 12, seed).questions:
        if question.kind != "matrix":
            continue
        setting = _Setting(question)
        point, values = setting.at(5)
        found = np.asarray(evaluate(setting.key, point, values))
        engine = engine_derivative(setting.function, question.data["wrt"], point)
        rows = engine.shape[0] * engine.shape[1]
        full = engine.reshape(engine.shape[2:]) if rows == 1 else engine.reshape(rows, -1).T
        wanted = full.T if question.data["layout"] == "numerator" else full
        np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("seed", range(2))
def test_number_and_formula_keys_agree_with_the_engine(seed):
    import chainrule as cr

    for topic in ("gates", "chain-rule"):
        for question in quizzes.make(topic, 12, seed).questions:
            function = parse(question.data["function"])
            if question.kind == "numbers":
                at = question.data["at"]
                order = function.names
                slopes = cr.grad(function, argnums=tuple(range(len(order))))(
                    *(at[n] for n in order)
                )
                wanted = [dict(zip(order, slopes, strict=True))[n] for n in question.data["wrt"]]
                found = [float(part) for part in question.answer.split(",")]
                np.testing.assert_allclose(found, wanted, rtol=5e-4, atol=1e-12)
            else:
                wanted = cr.grad(function)(0.8)
                assert parse(question.answer)(0.8) == pytest.approx(wanted, rel=1e-9)


def test_solutions_come_from_explanations():
    made = quizzes.make("gates", 1, 7)
    assert "backward" in made.questions[0].solution
    assert "check" in made.questions[0].solution
    assert "check" in quizzes.make("matrix", 1, 7).questions[0].solution


# Marking: right answers in other forms -----------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        "2*x*cos(x**2)",
        "cos(x*x)*(x + x)",
        "dJ/dx = 2*x*cos(x**2)",
        "2*x*sin(x**2 + pi/2)",
        "4*x*cos(x**2)/2",
        "2*x*(1 - 2*sin(x**2/2)**2)",
        "2x Cos(x^2).",
        "2|x|sgn(x)cos(x^2)",
        "$2[x COS x^2]$.",
        "[x + x]cos(x²)",
    ],
)
def test_any_equal_formula_is_right(answer):
    assert judged(formula("sin(x**2)"), answer).right


def test_intermediate_names_may_be_used():
    question = formula("t = x**2; cos(sin(t) + 3*t)")
    assert judged(question, "-sin(sin(t) + 3*t)*(cos(t) + 3)*2*x").right
    assert judged(question, "-sin(sin(x**2) + 3*x**2)*(2*x*cos(x**2) + 6*x)").right


@pytest.mark.parametrize(
    "answer", ["-4, -4, 3", "(-4,-4,3)", "−4, −4, 6/2", "fx=-4, fy=-4, fz=3", "-2**2, -8/2, 3.0"]
)
def test_numbers_may_be_written_in_many_ways(answer):
    question = numbers("(x + y)*z", {"x": -2.0, "y": 5.0, "z": -4.0}, ("x", "y", "z"))
    assert judged(question, answer).right


def test_the_tolerance_of_numbers_is_kept():
    question = numbers("sigma(x)", {"x": 0.3}, ("x",), 0.005)
    truth = 1 / (1 + np.exp(-0.3)) * (1 - 1 / (1 + np.exp(-0.3)))
    assert judged(question, f"{truth * 1.004}").right
    assert not judged(question, f"{truth * 1.006}").right


@pytest.mark.parametrize(
    "answer",
    ["A.T @ B.T", "(B @ A).T", "transpose(B @ A)", "1*A.T @ B.T + 0", "(2*A).T @ B.T/2"],
)
def test_any_equal_matrix_expression_is_right(answer):
    assert judged(in_matrices("trace(A @ X @ B)", "X", "A.T @ B.T"), answer).right


def test_names_of_the_network_may_be_used():
    question = in_matrices(
        "softmax_cross_entropy(W2 @ tanh(z1) + b2, y)", "z1", "(W2.T @ delta2)*(1 - a1**2)",
        given=[("a1", "tanh(z1)"), ("z2", "W2 @ a1 + b2"), ("yhat", "softmax(z2)"),
               ("delta2", "yhat - y")],
    )  # fmt: skip
    for answer in (
        "(W2.T @ delta2)*(1 - tanh(z1)**2)",
        "(1 - a1*a1)*(W2.T @ (yhat - y))",
        "diag(1 - a1**2) @ W2.T @ (softmax(W2 @ a1 + b2) - y)",
    ):
        assert judged(question, answer).right


# Marking: slips ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "answer", "slip", "says"),
    [
        ("sin(x**2)", "cos(x**2)", "missing inner derivative", "must be multiplied by that of x²"),
        ("cos(x**2)", "2*x*sin(x**2)", "sign", "sign"),
        ("cos(x)", "sin(x)", "sign", "sign of the derivative of cos"),
        ("t = x**2; cos(sin(t) + 3*t)", "-sin(sin(t) + 3*t)*3*2*x", "forgotten branch",
         "branch through sin(t) was dropped"),
        ("x**2*sin(3*x)", "2*x*sin(3*x)", "forgotten branch", "gradients add"),
        ("x**2*sin(3*x)", "2*x*3*cos(3*x)", "product rule", "u′v + uv′"),
        ("x**3", "3*x**3", "wrong power", "falls by one"),
        ("x**4", "x**3", "wrong power", "factor 4"),
        ("sin(x)/(1 + x**2)", "(cos(x)*(1 + x**2) + sin(x)*2*x)/(1 + x**2)**2", "sign",
         "minus of the quotient rule"),
        ("sin(x)/(1 + x**2)", "cos(x)/(1 + x**2) - sin(x)*2*x/(1 + x**2)", "wrong power",
         "squared"),
        ("exp(x) - x**2", "exp(x) + 2*x", "sign", "minus"),
        ("5*sin(x)", "cos(x)", "missing factor", "constant factor"),
        ("sin(tanh(2*x))", "cos(tanh(2*x))*(1 - tanh(2*x)**2)", "missing inner derivative", "2 x"),
        ("sin(x**2)", "cos(x)*2*x", "wrong place", "not at x"),
        ("tanh(x**2)", "tanh(x**2)", "not differentiated", "not its derivative"),
        ("tanh(x)", "x*(1 - tanh(x)**2)", "wrong power", "power of x is off"),
        ("tan(2*x)", "2/cos(2*x)", "wrong local derivative", "tan is another one"),
        ("logistic(x)", "logistic(x)*(1 + logistic(x))", "wrong local derivative", "another one"),
        ("2**x", "x*2**(x - 1)", "wrong local derivative", "for a constant exponent"),
        ("cos(x)/x", "-sin(x)", "quotient rule", "not u′/v′"),
        ("x*exp(x)*cos(x)", "-exp(x)*sin(x)", "product rule", "everywhere"),
        ("x**2 + 3*x + 5", "2*x + 8", "not differentiated", "5 in"),
        ("x**2 - 3*x", "2*x - 3*x", "not differentiated", "3 x in"),
        ("x**-2", "-2/x", "wrong power", "falls by one"),
        ("(2 + x)**-1", "(2 + x)**-2", "sign", "comes down"),
        ("(2 + x)**-3", "(2 + x)**-4", "wrong power", "factor −3"),
        ("(x**2 + 1)**3", "3*x**2*2*x", "wrong place", "not at x"),
        ("sin(cos(x))", "cos(-sin(x))", "wrong place", "not at its slope"),
        ("(x^2 + 5)^4", "4(2x)^3", "wrong place", "not at its slope"),
        ("(x^2 + 1)^3", "3(x^2 + 1)^2 (x^2 + 1)", "not differentiated", "not x² + 1 itself"),
        ("sin(x^3)", "x^3 cos(x^3)", "not differentiated", "not x³"),
        ("exp(-x)", "exp(-x)", "missing inner derivative", "must be multiplied by that of −x"),
        ("sqrt(3x + 1)", "3/sqrt(3x + 1)", "wrong constant", "2 times"),
        ("abs(x - 1)", "1", "wrong local derivative", "slope of abs is another one in abs(x − 1)"),
        ("3relu(x - 1)", "relu(x - 1)", None, "no single"),
        ("cos(3x)", "sin(3x)/3", "antiderivative", "its slope is the function"),
        ("x^(1/2) + x", "x^(1/2)/2 + 1", "wrong power", "falls by one"),
        ("exp(3x)", "3e^3x", None, "read as ^3 times x"),
        ("x**2*exp(-x)", "-(2*x*exp(-x) - x**2*exp(-x))", "sign", "sign of the whole"),
        ("sin(x)**2", "6*sin(x)*cos(x)", "wrong constant", "3 times"),
        ("x**4", "4*x**3.000001", "near miss", "a little off"),
        ("sin(x)*x", "x*cos(x) + sin(1.00001*x)", "near miss", "a little off"),
        ("sin(x)", "x**3 + 7", None, "no single common slip"),
    ],
)  # fmt: skip
def test_slips_in_formulas_are_named(function, answer, slip, says):
    mark = judged(formula(function), answer)
    assert not mark.right
    assert mark.slip == slip
    assert says in mark.says


@pytest.mark.parametrize(
    ("function", "at", "answer", "slip", "says"),
    [
        ("(x + y)*z", {"x": -2.0, "y": 5.0, "z": -4.0}, "4, -4, 3", "sign", "∂f/∂x = 4 is wrong"),
        ("x*y", {"x": 3.0, "y": 5.0}, "3, 3", "product gate", "not its own"),
        ("max(x, y)", {"x": 3.0, "y": 5.0}, "1, 1", "routing", "one input only|not to the other"),
        ("max(x, y)*7", {"x": 3.0, "y": 5.0}, "0, 1", "missing factor", "constant factor"),
        ("(x + y)*(y + z)", {"x": 1.0, "y": 2.0, "z": 5.0}, "7, 7, 3", "forgotten branch",
         "gradients add"),
        ("2*x*y", {"x": -2.0, "y": -4.0}, "-4, -8", "other variable", "this is ∂f/∂y"),
        ("2*x + 3*y*y", {"x": 1.0, "y": 5.0}, "30, 30", "other variable", "this is ∂f/∂y"),
        ("(x + y)*z", {"x": -2.0, "y": 5.0, "z": -4.0}, "-4, -4, 17", None, "no single"),
    ],
)  # fmt: skip
def test_slips_in_numbers_are_named(function, at, answer, slip, says):
    import re

    mark = judged(numbers(function, at, tuple(at)), answer)
    assert not mark.right
    assert mark.slip == slip
    assert re.search(says, mark.says)


@pytest.mark.parametrize(
    ("function", "at", "answer", "right"),
    [
        ("relu(x)", 0.0, "0", True), ("relu(x)", 0.0, "1", True), ("relu(x)", 0.0, "0.5", True),
        ("relu(x)", 0.0, "1.1", False), ("relu(x)", 0.0, "-0.1", False),
        ("abs(x - 2)*3", 2.0, "-3", True), ("abs(x - 2)*3", 2.0, "3.1", False),
        ("relu(x)", 1.0, "0.5", False),
    ],
)  # fmt: skip
def test_any_subgradient_at_a_kink_is_right(function, at, answer, right):
    assert judged(numbers(function, {"x": at}, ("x",)), answer).right == right


@pytest.mark.parametrize(
    ("function", "wrt", "key", "answer", "slip", "says"),
    [
        ("trace(A @ X @ B)", "X", "A.T @ B.T", "A @ B.T", "transpose", "A is to be"),
        ("trace(A @ X @ B)", "X", "A.T @ B.T", "A @ B", "transpose", "A and B"),
        ("trace(A @ X @ B)", "X", "A.T @ B.T", "B.T @ A.T", "factor order", "wrong order"),
        ("trace(A @ X @ B)", "X", "A.T @ B.T", "B @ A", "other layout", "other layout"),
        ("norm2(W @ x)", "x", "2*W.T @ W @ x", "W.T @ W @ x", "wrong constant", "factor 2"),
        ("norm2(W @ x)", "x", "2*W.T @ W @ x", "-2*W.T @ W @ x", "sign", "sign"),
        ("norm2(W @ x)", "x", "2*W.T @ W @ x", "W @ W @ x", "transpose", "besides"),
        ("norm2(W @ x)", "x", "2*W.T @ W @ x", "2*x.T @ W.T @ W", "other layout", "transposed"),
        ("x.T @ B @ x", "x", "(B + B.T) @ x", "B @ x", "forgotten branch", "Bᵀ is missing"),
        ("x.T @ B @ x", "x", "(B + B.T) @ x", "2*B @ x", "transpose", "Bᵀ is turned"),
        ("logdet(X)", "X", "inv(X).T", "inv(X)", "other layout", "transposed"),
        ("a.T @ tanh(W @ x)", "W", "(a*(1 - tanh(W @ x)**2)) @ x.T", "a @ x.T",
         "missing inner derivative", "factor 1 − tanh"),
        ("sum(exp(A @ x))", "x", "A.T @ exp(A @ x)", "exp(A @ x)", "missing inner derivative",
         "factor Aᵀ is missing"),
        ("sum(exp(A @ x))", "x", "A.T @ exp(A @ x)", "A.T*exp(A @ x)", "kind of product",
         "matrix product"),
        ("norm2(X @ w - y)/2", "w", "X.T @ (X @ w - y)", "X.T @ (X @ w + y)", "sign", "sign of −y"),
        ("sum(X**3)", "X", "3*X**2", "3*X**3", "wrong power", "off by one"),
    ],
)  # fmt: skip
def test_slips_in_matrices_are_named(function, wrt, key, answer, slip, says):
    mark = judged(in_matrices(function, wrt, key), answer)
    assert not mark.right
    assert mark.slip == slip, mark.says
    assert says in mark.says


@pytest.mark.parametrize(
    ("answer", "slip", "says"),
    [
        ("1/m*X.T @ (delta2 @ W2.T)", "missing inner derivative", "1 − A₁²"),
        ("1/m*X.T @ ((delta2 @ W2.T)*A1*(1 - A1))", "wrong activation derivative", "1 − A₁²"),
        ("1/m*X.T @ ((delta2 @ W2.T)*(1 - Z1**2))", "pre-activation for activation", "not its"),
        ("X.T @ delta1", "batch factor", "a mean over the rows"),
        ("1/m*X.T @ ((Y - Yhat) @ W2.T*(1 - A1**2))", "sign", "sign"),
    ],
)
def test_slips_in_networks_are_named(answer, slip, says):
    wanted = "1 - A1**2"
    made = (q for seed in range(40) for q in quizzes.make("network", 5, seed).questions)
    question = next(
        q for q in made if q.answer == "1/m*X.T @ delta1" and wanted in str(q.data["given"])
    )
    mark = judged(question, answer)
    assert not mark.right
    assert mark.slip == slip, mark.says
    assert says in mark.says


def test_sizes_that_do_not_fit_are_shown_with_a_caret():
    mark = judged(in_matrices("trace(A @ X @ B)", "X", "A.T @ B.T"), "A @ A @ A @ B")
    assert "inner sizes of @ differ" in mark.says
    assert mark.says.rstrip().endswith("^")


def test_slips_are_hypotheses_that_differ_from_the_truth():
    """Every slip of a composition changes its slope, or it could not be told apart."""
    function = parse("t = x**2; cos(sin(t) + 3*t)/(1 + x)")
    values = {"x": np.linspace(0.3, 1.2, 7)}
    truth, _ = slope_and_value(function, "x", values)
    slips = list(scalar_slips(function, "x", values))
    assert len(slips) > 10
    assert {s.kind for s in slips} <= SLIPS.keys()
    assert all(not np.allclose(s.slope, truth) for s in slips)
    assert {"forgotten branch", "sign", "missing inner derivative", "wrong power"} <= {
        s.kind for s in slips
    }


def test_the_walk_of_slips_finds_the_engines_slope():
    import chainrule as cr

    for text in ("t = x**2; cos(sin(t) + 3*t)", "x**x", "max(x, 1 - x)*exp(-x)/(x + 2)", "-x**3"):
        function = parse(text)
        slope, _ = slope_and_value(function, "x", {"x": np.array([0.7])})
        assert slope[0] == pytest.approx(cr.grad(function)(0.7), rel=1e-12)


# Hostile and broken answers ----------------------------------------------------------------

HOSTILE = [
    "__import__('os').system('true')",
    "().__class__.__bases__[0]",
    "[x for x in range(9)]",
    "lambda: 0",
    "x" * 5000,
    "(" * 300,
    "-" * 900 + "x",
    "open(x)",
    "exec(x)",
    "f'{x}'",
    "x.T.T.T.__globals__",
    "9**9**9**9**9**9",
    "exp(exp(exp(exp(99*x))))",
    "x; import os",
    "\x00",
    "\u202ex",
    "x[0:1]",
    "1e400",
    "nan",
    "Q @ R",
]


@pytest.fixture(scope="module")
def questions():
    return {
        "formula": formula("sin(x**2)"),
        "numbers": numbers("x*y", {"x": 2.0, "y": 3.0}, ("x", "y")),
        "matrix": in_matrices("trace(A @ X @ B)", "X", "A.T @ B.T"),
    }


@pytest.mark.parametrize("answer", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("kind", ["formula", "numbers", "matrix"])
def test_hostile_answers_are_wrong_and_do_nothing(questions, kind, answer):
    mark = judged(questions[kind], answer)
    assert not mark.right
    assert mark.says
    assert mark.given.isprintable()


def test_an_unreadable_answer_shows_the_place():
    mark = judged(formula("sin(x**2)"), "2*x*cos(x**2) + y.real")
    assert mark.slip == "not readable"
    assert mark.says.rstrip().endswith("^")


def test_no_answer_is_wrong_and_says_so():
    report = quizzes.mark(quizzes.make("gates", 2, 1), {})
    assert report.right == 0
    assert {m.slip for m in report.marks} == {"no answer"}


def test_unknown_names_are_told():
    assert "z is not a name of the question" in judged(formula("sin(x)"), "cos(z)").says
    question = in_matrices("trace(A @ X @ B)", "X", "A.T @ B.T")
    assert "Q is not a name of the question" in judged(question, "Q.T").says


# Files and the command line ----------------------------------------------------------------


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
@pytest.mark.parametrize("part", ["all", "questions", "answers"])
def test_every_format_can_be_marked(form, part):
    made = quizzes.make("matrix", 3, 7)
    write = {
        "text": quizzes.to_text,
        "markdown": quizzes.to_markdown,
        "json": lambda *a: json.dumps(quizzes.to_json(*a)),
    }[form]
    content = write(made, part)
    assert quizzes.load(content) == made
    assert (made.questions[0].answer in content) == (part != "questions")
    assert (part == "answers") or "Find" in content


def test_a_file_from_elsewhere_is_refused():
    with pytest.raises(UsageError, match="there is no line"):
        quizzes.load("nothing here")
    recipe = quizzes.make("gates", 2, 1).recipe
    with pytest.raises(UsageError, match="makes other questions"):
        quizzes.load(recipe[:-8] + "00000000")
    with pytest.raises(UsageError, match="between 1 and 100"):
        quizzes.load("chainrule-quiz/1 topic=gates n=999 seed=1 check=00000000")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("1: 2*x\n2. -4, 3\n\n# note\n3) x = 7", {1: "2*x", 2: "-4, 3", 3: "x = 7"}),
        ('{"1": "2*x", "2": 3}', {1: "2*x", 2: "3"}),
        ('["2*x", "y"]', {1: "2*x", 2: "y"}),
        ("**1.** A.T", {1: "A.T"}),
    ],
)
def test_answers_are_read_from_lines_and_json(content, found):
    assert quizzes.read_answers(content) == found


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("2*x", "write the question's number first"),
        ("1: x\n1: y", "answered twice"),
        ("{", "begins as JSON"),
        ('{"a": "x"}', "wanted is an object"),
        ('{"1": [1]}', "wanted is an object"),
        ("[" * 100000, "begins as JSON"),
    ],
)
def test_broken_answer_files_are_refused(content, says):
    with pytest.raises(UsageError, match=says):
        quizzes.read_answers(content)


@pytest.mark.parametrize(
    "arguments", [{"topic": "algebra"}, {"topic": "gates", "n": 0}, {"topic": "gates", "seed": -1}]
)
def test_wrong_arguments_are_refused(arguments):
    with pytest.raises(UsageError):
        quizzes.make(**arguments)


def _run(*arguments, stdin=None):
    result = CliRunner().invoke(command, arguments, input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_make_and_mark_on_the_command_line(tmp_path):
    quiz, answers = tmp_path / "quiz.md", tmp_path / "answers.txt"
    _run("make", "--topic", "gates", "--n", "2", "--seed", "7", "--format", "markdown", "--out",
         str(quiz))  # fmt: skip
    made = quizzes.make("gates", 2, 7)
    answers.write_text("\n".join(f"{n}: {q.answer}" for n, q in enumerate(made.questions, 1)))
    assert "2 of 2 right" in _run("mark", str(quiz), str(answers)).stdout
    assert "1 of 2 right" in _run("mark", str(quiz), f"1: {made.questions[0].answer}").stdout
    assert "2 of 2 right" in _run("mark", str(quiz), "-", stdin=answers.read_text()).stdout
    document = json.loads(_run("mark", str(quiz), str(answers), "--json").stdout)
    assert document["right"] == 2
    with pytest.raises(ChainruleError, match="--force"):
        _run("make", "--topic", "gates", "--out", str(quiz))
    with pytest.raises(UsageError, match="answered twice"):
        _run("mark", str(quiz), str(answers), "1: 3")


def test_make_writes_json_and_text_on_standard_output():
    document = json.loads(_run("make", "--topic", "chain-rule", "--n", "1", "--format",
                               "json").stdout)  # fmt: skip
    assert document["schema"] == "chainrule.quiz/1"
    shown = _run("make", "--topic", "network", "--n", "3", "--part", "questions").stdout
    assert "Answers" not in shown
    assert shown.count("Find") == 3


def test_the_command_is_registered():
    from chainrule.cli.app import COMMANDS

    assert COMMANDS["quiz"] == "chainrule.cli.quiz"


def test_the_quiz_hangs_on_explain():
    from chainrule.explanation import explain

    assert explain.quiz("gates", 2, 7) == quizzes.make("gates", 2, 7)


ASKED = ("∂f/∂x", "∂f/∂y", "∂f/∂z", "∂f/∂w")


@pytest.mark.parametrize(
    "given",
    [
        "-3; 4; 0; 1", "df/dy = 4; df/dx = -3; df/dw = 1; df/dz = 0", "-3 4 0 1",
        "x: -3; w: 1; y: 4; z: 0", "2: 4; 1: -3; 3: 0; 4: 1", "b) 4\na) -3\nd) 1\nc) 0",
        "∇f = (-3, 4, 0, 1)", "dx=-3 dz=0 dy=4 dw=1", "df/dy = 4, -3, 0, 1", "f_y -> 4; -3; 0; 1",
    ],
)  # fmt: skip
def test_labels_in_any_order_and_of_any_form(given: str) -> None:
    assert labelled(given, ASKED) == {0: "-3", 1: "4", 2: "0", 3: "1"}
    swapped = re.sub(r"-3|4(?!:)", lambda m: "4" if m[0] == "-3" else "-3", given)
    assert labelled(swapped, ASKED) == {0: "4", 1: "-3", 2: "0", 3: "1"}


@pytest.mark.parametrize("wrong", ["{} + 1e-7", "({})*1.0000001", "({})*(1 - [sum({w}) < -30])"])
def test_a_matrix_answer_that_differs_little_or_far_away_is_wrong(wrong: str) -> None:
    for number, question in enumerate(quizzes.make("matrix", n=3, seed=7).questions, 1):
        given = wrong.format(question.answer, w=question.data["wrt"])
        marked = quizzes.mark(quizzes.make("matrix", n=3, seed=7), {number: given}).marks[
            number - 1
        ]
        assert not marked.right, given
        assert marked.slip in ("near miss", "branch")


def test_a_branch_far_away_is_found() -> None:
    made = quizzes.make("chain-rule", n=1, seed=7)
    assert not quizzes.mark(made, {1: f"({made.questions[0].answer}) + [x<-30]"}).marks[0].right


@pytest.mark.parametrize("topic", ["gates", "network", "backprop"])
def test_a_prompt_has_one_notation_for_each_name(topic: str) -> None:
    """w₀ everywhere, not w0 beside it; names of matrices, W1, are those that are typed."""
    for question in quizzes.make(topic, 30, 1).questions:
        numbered = set(re.findall(r"\b[a-z]\d", question.prompt))
        lowered = set(re.findall(r"[a-zA-Z][₀-₉]", question.prompt))
        assert question.kind == "matrix" or not numbered
        assert (
            not {w.translate(str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")) for w in lowered} & numbered
        )
