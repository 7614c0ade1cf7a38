"""Text of the plots: how wide it is, and which strokes stand where. Small formulas between dollar signs are understood.

It is no TeX: powers, indices, Greek letters, roots and fractions are written in a line. Letters come from `glyphs.py`;
one that is not there is a box. Start at `set_text`.
"""

import functools
import math
import re
import unicodedata

from .glyphs import GLYPHS, LOWERED, MARKS, RAISED, SAME

# A capital letter is 14 units, and 0.72 of the size of the letters.
UNIT = 0.72 / 14
GAP = 3.6
SPACE = 6.0
# Between lines, in sizes.
LEADING = 1.3
SMALL = 0.7
BOX = "8 M0 0 L8 0 L8 14 L0 14 L0 0"
WORDS = {
    "times": "×", "cdot": "·", "pm": "±", "mp": "±", "leq": "≤", "le": "≤", "geq": "≥", "ge": "≥", "neq": "≠",
    "ne": "≠",
    "approx": "≈", "sim": "~", "infty": "∞", "sum": "∑", "int": "∫", "partial": "∂", "rightarrow": "→", "to": "→",
    "leftarrow": "←", "degree": "°", "circ": "°", "prime": "′", "ldots": "…", "dots": "…", "quad": "  ", "div": "÷",
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε", "eta": "η", "theta": "θ",
    "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ",
    "varphi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ",
    "Pi": "Π", "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω", "left": "", "right": "", "mathrm": "", "mathbf": "",
    "mathit": "", "text": "", "rm": "", "bf": "", "it": "", "hat": "", "bar": "", "vec": "",
}  # fmt: skip


@functools.lru_cache(4096)
def outline(path):
    """The strokes of a path of `glyphs.py`: lists of points."""
    strokes, pen = [], []
    tokens = re.findall(r"([MLQA])([^MLQA]*)", path)
    for letter, rest in tokens:
        numbers = [float(number) for number in rest.split()]
        if letter == "M":
            strokes.append(pen)
            pen = [tuple(numbers)]
        elif letter == "L":
            pen.append(tuple(numbers))
        elif letter == "Q":
            x0, y0 = pen[-1]
            x1, y1, x2, y2 = numbers
            for step in range(1, 9):
                t = step / 8
                a, b, c = (1 - t) ** 2, 2 * t * (1 - t), t * t
                pen.append((a * x0 + b * x1 + c * x2, a * y0 + b * y1 + c * y2))
        else:
            x, y, rx, ry, start, end = numbers
            n = max(2, round(abs(end - start) / 15))
            for step in range(n + 1):
                angle = math.radians(start + (end - start) * step / n)
                pen.append((x + rx * math.cos(angle), y + ry * math.sin(angle)))
    return tuple(tuple(dot(stroke)) for stroke in [*strokes, pen] if stroke)


def dot(stroke):
    """A stroke that is as good as a point becomes a small ring, so that it is as dark as it should be."""
    (x0, y0), (x1, y1) = stroke[0], stroke[-1]
    if len(stroke) > 2 or math.hypot(x1 - x0, y1 - y0) > 0.4:
        return stroke
    x, y = (x0 + x1) / 2, (y0 + y1) / 2 + 0.1
    turns = [math.radians(60 * step) for step in range(7)]
    return [(x + 0.42 * math.cos(turn), y + 0.42 * math.sin(turn)) for turn in turns]


@functools.lru_cache(4096)
def drawn(character):
    """The width of a character and its strokes, units."""
    character = SAME.get(character, character)
    path = GLYPHS.get(character)
    if path is not None:
        width, _, rest = path.partition(" ")
        return float(width), outline(rest)
    for small, rise in ((RAISED, 6.2), (LOWERED, -3.0)):
        if character in small:
            width, strokes = drawn(small[character])
            moved = tuple(tuple((x * SMALL, y * SMALL + rise) for x, y in stroke) for stroke in strokes)
            return width * SMALL, moved
    parts = unicodedata.normalize("NFD", character)
    if len(parts) > 1 and all(mark in MARKS for mark in parts[1:]):
        base = "ı" if parts[0] == "i" else parts[0]
        width, strokes = drawn(base)
        rise = 3.6 if base.isupper() else 0.0
        for mark in parts[1:]:
            up = 0.0 if mark in "\u0327\u0328" else rise
            marks = outline(MARKS[mark])
            strokes += tuple(tuple((x + width / 2, y + up) for x, y in stroke) for stroke in marks)
        return width, strokes
    width, _, rest = BOX.partition(" ")
    return float(width), outline(rest)


def advance(character):
    if character in " \t\N{NO-BREAK SPACE}":
        return SPACE
    if unicodedata.combining(character):
        return 0.0
    return drawn(character)[0] + GAP


@functools.lru_cache(1024)
def spans(line):
    """A line as (text, level): level 1 stands small and high, -1 small and low."""
    pieces = re.split(r"(?<!\\)\$", line)
    if len(pieces) % 2 == 0 or len(pieces) == 1:
        return ((line.replace(r"\$", "$"), 0),)
    found = []
    for index, piece in enumerate(pieces):
        found += formula(piece) if index % 2 else [(piece.replace(r"\$", "$"), 0)]
    return tuple((text, level) for text, level in found if text)


def braced(text, at):
    """What stands between the brace at or after `at` and its partner, and where that ends; without braces a letter."""
    while at < len(text) and text[at] == " ":
        at += 1
    if text[at : at + 1] != "{":
        return text[at : at + 1], at + 1
    depth = 0
    for end in range(at, len(text)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0:
            return text[at + 1 : end], end + 1
    return text[at + 1 :], len(text)


def in_line(text, depth=0):
    """Fractions and roots as they are written in a line: (a+b)/c, √(x)."""
    found = re.search(r"\\(d?frac|tfrac|sqrt)(?![A-Za-z])", text)
    if found is None or depth > 8:
        return text
    first, at = braced(text, found.end())
    if found[1] == "sqrt":
        made = f"√({in_line(first, depth + 1)})"
    else:
        second, at = braced(text, at)
        parts = [in_line(part, depth + 1) for part in (first, second)]
        made = "/".join(f"({part})" if re.search(r"[+\-* /](?![^{]*})", part) else part for part in parts)
    return text[: found.start()] + made + in_line(text[at:], depth + 1)


def formula(text):
    """A formula in one line, as (text, level)."""
    text = in_line(text)
    text = re.sub(r"\\([A-Za-z]+) ?", lambda found: WORDS.get(found[1], found[1] + " "), text)
    text = re.sub(r"\\[,;:! ]", " ", text).replace("\\", "").replace("-", "−").replace("*", "·")
    found = []
    for part in re.finditer(r"([\^_])(?:\{([^{}]*)\}|(.))|[^\^_]+", text):
        if part[1]:
            found.append((part[2] if part[2] is not None else part[3], 1 if part[1] == "^" else -1))
        else:
            found.append((part[0].replace("{", "").replace("}", ""), 0))
    return found


@functools.lru_cache(4096)
def line_width(line, size):
    total = 0.0
    for text, level in spans(line):
        total += sum(map(advance, text)) * (SMALL if level else 1.0)
    return max(0.0, total - GAP) * UNIT * size


def measured(text, size):
    """Width and height of a text of one or more lines, points."""
    lines = str(text).split("\n")
    return max(line_width(line, size) for line in lines), size * (0.72 + LEADING * (len(lines) - 1))


def placed(line, size):
    """Each character of a line with where it begins, its scale and its rise, points from the line's beginning."""
    x = 0.0
    for text, level in spans(line):
        scale = SMALL if level else 1.0
        rise = {1: 6.4, -1: -3.2, 0: 0.0}[level] * UNIT * size
        for character in text:
            yield character, x, scale, rise
            x += advance(character) * scale * UNIT * size


def plain(line):
    """A line without dollars, with raised and lowered digits where Unicode has them: for SVG."""
    up = {value: key for key, value in RAISED.items()}
    down = {value: key for key, value in LOWERED.items()}
    parts = []
    for text, level in spans(line):
        table = {1: up, -1: down, 0: {}}[level]
        parts.append("".join(table.get(character, character) for character in text))
    return "".join(parts)


def set_text(raster, x, y, text, size, color, ha="left", va="baseline", angle=0.0, alpha=1.0, bold=False):
    """Draws a text on a `raster.Raster`: (x, y) is the point that `ha` and `va` tell of; `angle` in degrees."""
    pen = size * (0.115 if bold else 0.078)
    cos, sin = math.cos(math.radians(angle)), -math.sin(math.radians(angle))
    for line, left, down in arranged(text, size, ha, va, angle):
        for character, start, scale, rise in placed(line, size):
            if character.isspace():
                continue
            unit = UNIT * size * scale
            turned = [
                [((px * cos + py * sin) * unit, (px * sin - py * cos) * unit) for px, py in stroke]
                for stroke in drawn(character)[1]
            ]
            at = (x + (left + start) * cos - (down - rise) * sin, y + (left + start) * sin + (down - rise) * cos)
            key = (character, round(unit * 4096), angle, bold)
            raster.glyphs(key, turned, *at, color, pen * (0.85 if scale < 1 else 1), alpha)


def arranged(text, size, ha, va, angle):
    """The lines of a text, each with where it begins: to the right and down along the turned line, from the point that
    the text is set at. `ha` and `va` tell of the upright box round the turned text."""
    lines = str(text).split("\n")
    cos, sin = math.cos(math.radians(angle)), -math.sin(math.radians(angle))
    step = size * LEADING
    widths = [line_width(line, size) for line in lines]
    wide, tall = max(widths), step * (len(lines) - 1)
    below = 0.2 * size if va == "bottom" else 0.0
    corners = [(x * cos - y * sin, x * sin + y * cos) for x in (0.0, wide) for y in (-0.72 * size, tall + below)]
    left, right = min(x for x, _ in corners), max(x for x, _ in corners)
    top, bottom = min(y for _, y in corners), max(y for _, y in corners)
    dx = {"left": -left, "right": -right}.get(ha, -(left + right) / 2)
    dy = {"top": -top, "center": -(top + bottom) / 2}.get(va, -bottom)
    # Back into the turned line's own directions.
    along, across = dx * cos + dy * sin, -dx * sin + dy * cos
    for index, line in enumerate(lines):
        inset = {"left": 0.0, "right": wide - widths[index]}.get(ha, (wide - widths[index]) / 2)
        yield line, along + inset, across + index * step


def extent(text, size, angle=0.0):
    """Width and height of the upright box round a turned text, points."""
    wide, tall = measured(text, size)
    cos, sin = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
    return wide * cos + tall * sin, wide * sin + tall * cos
