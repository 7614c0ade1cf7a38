"""Turns that use the built-in `python`: what is asked, the code, what it prints, the answer.

The code is run here, so what the model learns to read is what Python says. Code goes raw to the recipient `python`, on the
analysis channel. Begin at `python_turn`.
"""

import contextlib, io, json

THOUGHT = "execute Python code. I use python."
SILENT = "[no output; print() shows a value]"


def python_turn(f):
    """The request, the reasoning before the call, the call and its reply, the answer. `f` draws the fillers."""
    ask, code, answer = f.pick(WHAT)(f)
    if f.r.random() < 0.05:
        result = "error: " + f.pick(
            "the tool was stopped after 120s, its time limit; ask for less",
            "the tool crashed; a new call starts afresh",
            f.phrase(2, 5),
        )
        return ask, THOUGHT, python_steps(code, result), f"That did not work: {result.removeprefix('error: ')}."
    result, failed = run(code)
    result = result.rstrip("\n") if f.r.random() < 0.1 else result
    if failed:
        answer = f"Python failed: {failed}"
    elif result == SILENT:
        answer = "Python printed nothing."
    return ask, THOUGHT, python_steps(code, result), answer.replace("{R}", result.rstrip("\n"))


def python_steps(code, result=None):
    """A call and its reply."""
    return [
        {"role": "assistant", "channel": "analysis", "to": "python", "type": "code", "text": code},
        {"role": "tool", "name": "python", "channel": "analysis", "text": result or run(code)[0]},
    ]


def wish_of_numbers(f):
    """Only the words of a request, for prompts without python."""
    return f.pick(SUM, MEAN, LARGEST, SORTED, LENGTH, BACKWARD)(f)[0]


def run(code):
    """What the tool would reply, and the last line of a failure."""
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            exec(compile(code, "<cell 1>", "exec"), {})
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        frame = f'Traceback (most recent call last):\n  File "<cell 1>", line 1, in <module>\n    {code}\n'
        return out.getvalue() + frame + what, what
    return out.getvalue() or SILENT, None


def asked(f, wishes):
    """A request that names python: a wish says what to do, or asks."""
    wish = f.pick(wishes)
    if wish.startswith(("what", "which", "how")):
        ask = f.pick(f"{wish}? Use python.", f"{wish}? Use python", f"With python, {wish}?", f"Use python: {wish}?")
    else:
        to = f"Use python to {wish}"
        ask = f.pick(
            to,
            to,
            to,
            f"With python, {wish}",
            f"python: {wish}",
            f"{wish} with python",
            f"{wish} with python",
            f"{wish} in python",
            f"{wish} using python",
            f"{wish}, use python",
        )
    ask = ask[0].upper() + ask[1:] if f.r.random() < 0.9 else ask
    return ask.replace("python", "Python") if f.r.random() < 0.25 else ask


def numbers(f, least=2):
    """As they stand in a request, and as a list of Python's."""
    size = f.pick(2, 3, 4, 9)
    draw = lambda: f.number(0.12) if f.r.random() < 0.5 else str(f.r.randint(0, 10**size if size < 4 else 99))
    listed = [draw() for _ in range(f.r.randint(least, 6))]
    *most, last = listed
    comma = ", ".join(most)
    text = f.pick(f"{comma} and {last}", f"{comma} and {last}", f"{comma}, {last}", f"{comma}, and {last}")
    return text, f"[{', '.join(listed)}]"


def reduced(wishes, code, answer, least=2):
    """A turn that makes one of several numbers."""

    def turn(f):
        text, listed = numbers(f, least)
        return asked(f, [wish.replace("{l}", text) for wish in wishes]), code.replace("{l}", listed), answer

    return turn


def expression(f):
    a, b, c = f.number(0.1), f.number(0.1), f.number(0)
    text = f.pick(
        f"{a} + {b}",
        f"{a} - {b}",
        f"{a} * {b}",
        f"{a} / {b}",
        f"{f.r.randint(2, 99)} ** {f.r.randint(2, 20)}",
        f"2 ** {f.r.randint(3, 99)}",
        f"{c} % {f.r.randint(1, 99)}",
        f"{c} // {f.r.randint(1, 99)}",
        f"({a} + {b}) * {c}",
        f"{a} * {b} + {c}",
    )
    ask = f.pick(
        f"python: {text}",
        f"Python: {text}",
        f"python {text}",
        f"What is {text} in python?",
        f"What is {text}? Use python.",
        f"Use python to compute {text}",
        f"Use python to calculate {text}",
        f"Use python for {text}",
        f"Calculate {text} with python",
        f"Compute {text} in Python",
        f"Evaluate {text} with Python",
        f"Run {text} in python",
        f"With python, what is {text}?",
    )
    return ask, f"print({text})", f"{text} = {{R}}."


def of_word(wishes, code, answer):
    """A turn about the letters of a word."""

    def turn(f):
        word, letter = f.spelt_word(), f.pick(*"aeiourstnl")
        slots = lambda text: text.replace("{w}", word).replace("{c}", letter)
        return asked(f, [slots(wish) for wish in wishes]), slots(code), slots(answer)

    return turn


def of_number(wishes, code, answer, most):
    def turn(f):
        n = str(f.r.randint(2, most))
        return asked(f, [wish.replace("{n}", n) for wish in wishes]), code.replace("{n}", n), answer.replace("{n}", n)

    return turn


def of_pair(f):
    a, b = str(f.r.randint(2, 999)), str(f.r.randint(2, 999))
    name, function = f.pick(("greatest common divisor", "gcd"), ("least common multiple", "lcm"))
    of = f"the {f.pick(name, function)} of {a} and {b}"
    return (
        asked(f, [f"find {of}", f"compute {of}", f"what is {of}"]),
        f"import math\nprint(math.{function}({a}, {b}))",
        "The result is {R}.",
    )


def sorted_words(f):
    words = [f.spelt_word() for _ in range(f.r.randint(2, 5))]
    text = f"{', '.join(words[:-1])} and {words[-1]}"
    return (
        asked(f, [f"sort {text}", f"sort the words {text}"]),
        f"print(sorted({json.dumps(words)}))",
        "Python says:\n{R}",
    )


def given_code(f):
    """Code of the user's own, as it is."""
    a, b, word, name = f.number(0.1), f.number(0), f.first_word(), f.pick(*"abcnxyz")
    code = f.pick(
        lambda: f"print({a} + {b})",
        lambda: f'print("{word}")',
        lambda: f'print("{word}" * {f.r.randint(2, 5)})',
        lambda: f"{name} = {a}; print({name} * {b})",
        lambda: f"print(len([{a}, {b}]))",
        lambda: f"print(max({a}, {b}))",
        lambda: f"print(abs(-{a}))",
        lambda: f"print(round({a}, 1))",
        lambda: f"{name} = {a}",
        lambda: f'{name} = "{word}"',
        lambda: f"print({a} / 0)",
        lambda: f"print({word})",
        lambda: f'int("{word}")',
    )()
    ask = f.pick(
        f"Run this python code: {code}",
        f"Run this in python: {code}",
        f"Use python to run {code}",
        f"Execute {code} in python",
        f"Run python: {code}",
        f"python: {code}",
    )
    return ask, code, "Python says:\n{R}"


SUM = reduced(
    [
        "sum {l}",
        "add {l}",
        "add up {l}",
        "compute the sum of {l}",
        "sum up {l}",
        "calculate the sum of {l}",
        "total {l}",
        "what is the sum of {l}",
        "what is the total of {l}",
    ],
    "print(sum({l}))",
    "The sum is {R}.",
)
MEAN = reduced(
    [
        "compute the mean of {l}",
        "find the average of {l}",
        "get the mean of {l}",
        "average {l}",
        "calculate the average of {l}",
        "what is the mean of {l}",
        "what is the average of {l}",
    ],
    "import statistics\nprint(round(statistics.mean({l}), 2))",
    "The mean is {R}.",
)
MEDIAN = reduced(
    [
        "compute the median of {l}",
        "find the median of {l}",
        "get the median of {l}",
        "calculate the median of {l}",
        "what is the median of {l}",
    ],
    "import statistics\nprint(statistics.median({l}))",
    "The median is {R}.",
)
DEVIATION = reduced(
    [
        "compute the standard deviation of {l}",
        "find the standard deviation of {l}",
        "get the stdev of {l}",
        "what is the standard deviation of {l}",
    ],
    "import statistics\nprint(round(statistics.stdev({l}), 2))",
    "The standard deviation is {R}.",
)
LARGEST = reduced(
    [
        "find the largest of {l}",
        "get the max of {l}",
        "find the maximum of {l}",
        "compute the max of {l}",
        "find the highest of {l}",
        "find the biggest of {l}",
        "which is the largest of {l}",
        "what is the maximum of {l}",
        "which is the biggest of {l}",
    ],
    "print(max({l}))",
    "The largest is {R}.",
)
SMALLEST = reduced(
    [
        "find the smallest of {l}",
        "get the min of {l}",
        "find the minimum of {l}",
        "compute the min of {l}",
        "find the lowest of {l}",
        "which is the smallest of {l}",
        "what is the minimum of {l}",
    ],
    "print(min({l}))",
    "The smallest is {R}.",
)
PRODUCT = reduced(
    [
        "multiply {l}",
        "compute the product of {l}",
        "find the product of {l}",
        "calculate the product of {l}",
        "what is the product of {l}",
    ],
    "import math\nprint(math.prod({l}))",
    "The product is {R}.",
)
SORTED = reduced(
    ["sort {l}", "sort the numbers {l}", "put {l} in order", "order {l}", "sort {l} in ascending order"],
    "print(sorted({l}))",
    "Sorted: {R}",
    3,
)
DOWNWARD = reduced(
    ["sort {l} from largest to smallest", "sort {l} in descending order", "sort {l} in reverse order"],
    "print(sorted({l}, reverse=True))",
    "Sorted: {R}",
    3,
)
LENGTH = of_word(
    [
        "count the letters of {w}",
        "count the letters in {w}",
        "get the length of {w}",
        "count how many letters {w} has",
        "find how long the word {w} is",
        "count the letters of the word {w}",
        "how many letters does {w} have",
        "how many letters are in {w}",
        "how long is the word {w}",
    ],
    'print(len("{w}"))',
    "The word {w} has {R} letters.",
)
BACKWARD = of_word(
    ["reverse {w}", "reverse the word {w}", "spell {w} backwards", "write {w} backwards"],
    'print("{w}"[::-1])',
    "Python says:\n{R}",
)
CAPITALS = of_word(
    ["write {w} in capitals", "make {w} upper case", "put {w} in upper case", "write {w} in capital letters"],
    'print("{w}".upper())',
    "Python says:\n{R}",
)
OCCURRENCES = of_word(
    [
        "count the letter {c} in {w}",
        "count how often {c} is in {w}",
        "count the {c} in {w}",
        "count how many {c} are in {w}",
        "how many {c} are in {w}",
        "how often is {c} in {w}",
    ],
    'print("{w}".count("{c}"))',
    "It is there {R} times.",
)
ROOT = of_number(
    [
        "compute the square root of {n}",
        "find the square root of {n}",
        "get the square root of {n}",
        "what is the square root of {n}",
    ],
    "import math\nprint(math.sqrt({n}))",
    "The square root of {n} is {R}.",
    9999,
)
FACTORIAL = of_number(
    [
        "compute the factorial of {n}",
        "find the factorial of {n}",
        "compute {n} factorial",
        "what is the factorial of {n}",
    ],
    "import math\nprint(math.factorial({n}))",
    "The factorial of {n} is {R}.",
    25,
)
SQUARES = of_number(
    ["list the squares up to {n}", "print the squares of the numbers up to {n}"],
    "print([n * n for n in range(1, {n} + 1)])",
    "Python says:\n{R}",
    12,
)

WHAT = [SUM] * 4 + [MEAN, MEDIAN, LARGEST, SMALLEST, SORTED, LENGTH] * 2 + [expression] * 5 + [given_code] * 3
WHAT += [DEVIATION, PRODUCT, DOWNWARD, BACKWARD, CAPITALS, OCCURRENCES, ROOT, FACTORIAL, SQUARES, of_pair, sorted_words]
