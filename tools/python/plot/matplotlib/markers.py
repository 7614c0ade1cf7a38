"""The shapes that stand at points: circles, squares, stars, crosses, as outlines about (0, 0), y downwards.

They have no colour and draw nothing. Start at `marker_shape`.
"""

import functools
import math

MARKERS = "o . , s D d ^ v < > * + x p h P X | _ H 8".split()


def star(n, inner, turn=90.0):
    return [
        (r * math.cos(math.radians(turn + 180 * k / n)), -r * math.sin(math.radians(turn + 180 * k / n)))
        for k in range(2 * n)
        for r in [1.0 if k % 2 == 0 else inner]
    ]


def polygon(n, turn=90.0, radius=1.0):
    angles = [math.radians(turn + 360 * k / n) for k in range(n)]
    return [(radius * math.cos(angle), -radius * math.sin(angle)) for angle in angles]


def bar(x0, y0, x1, y1, half):
    length = math.hypot(x1 - x0, y1 - y0)
    px, py = (y1 - y0) / length * half, -(x1 - x0) / length * half
    return [(x0 + px, y0 + py), (x1 + px, y1 + py), (x1 - px, y1 - py), (x0 - px, y0 - py)]


@functools.lru_cache(256)
def marker_shape(marker, size):
    """Outlines of a marker that is `size` points wide, about its middle."""
    r = size / 2
    half = max(0.5, size * 0.09)
    shapes = {
        "o": [polygon(20)], "8": [polygon(8, 22.5)], ".": [polygon(14, radius=0.5)], ",": [polygon(4, 45, 0.1)],
        "s": [polygon(4, 45, 1.25)], "D": [polygon(4, 90, 1.3)], "d": [[(x * 0.6, y * 1.2) for x, y in polygon(4)]],
        "^": [polygon(3, 90, 1.15)], "v": [polygon(3, 270, 1.15)], "<": [polygon(3, 180, 1.15)], ">": [polygon(3, 0,
              1.15)],
        "*": [star(5, 0.4)], "p": [polygon(5)], "h": [polygon(6)], "H": [polygon(6, 0)],
    }  # fmt: skip
    if marker in shapes:
        return [[(x * r, y * r) for x, y in outline] for outline in shapes[marker]]
    if marker in "+P":
        half = half if marker == "+" else r * 0.35
        return [bar(-r, 0, r, 0, half), bar(0, -r, 0, r, half)]
    if marker in "xX":
        half = half if marker == "x" else r * 0.35
        return [bar(-r * 0.8, -r * 0.8, r * 0.8, r * 0.8, half), bar(-r * 0.8, r * 0.8, r * 0.8, -r * 0.8, half)]
    return [bar(0, -r, 0, r, half)] if marker == "|" else [bar(-r, 0, r, 0, half)]
