"""A canvas of pixels: anti-aliased lines, filled areas and stamps upon RGB, in pure Python.

It knows nothing of plots or of text; its unit is the point (1/72 inch), y grows downwards. Start at `Raster`; `svg.Svg`
has the same methods. Cost grows with the ink, not with the area: full pixels are laid as slices.
"""

import functools
import math

from .png import encode


class Raster:
    """`width` and `height` in points; `scale` in pixels a point."""

    def __init__(self, width, height, scale, background):
        self.scale = scale
        self.width, self.height = max(1, round(width * scale)), max(1, round(height * scale))
        self._pixels = bytearray(bytes(background) * (self.width * self.height))
        self._clips = [(0, 0, self.width, self.height)]
        self._stamps = {}

    def encoded(self):
        return encode(self._pixels, self.width, self.height, self.scale * 72)

    def push_clip(self, x0, y0, x1, y1):
        """From now on only what lies in this rectangle (and in those before) is drawn."""
        s = self.scale
        a, b, c, d = self._clips[-1]
        clip = (max(a, round(x0 * s)), max(b, round(y0 * s)), min(c, round(x1 * s)), min(d, round(y1 * s)))
        self._clips.append(clip)

    def pop_clip(self):
        self._clips.pop()

    def rectangle(self, x0, y0, x1, y1, color, alpha=1.0):
        """Filled, its edges on whole pixels."""
        s = self.scale
        left, right = sorted((round(x0 * s), round(x1 * s)))
        top, bottom = sorted((round(y0 * s), round(y1 * s)))
        a, b, c, d = self._clips[-1]
        left, right, top, bottom = max(left, a), min(max(right, left + 1), c), max(top, b), min(max(bottom, top + 1), d)
        for y in range(top, bottom):
            self._span(y, left, right, color, alpha)

    def area(self, outlines, color, alpha=1.0):
        """Filled polygons: each of `outlines` is a list of points, closed by itself."""
        s = self.scale
        clip = self._clips[-1]
        rows = {}
        for outline in outlines:
            x0, y0 = outline[-1]
            for x1, y1 in outline:
                add_edge(rows, clip, x0 * s, y0 * s, x1 * s, y1 * s)
                x0, y0 = x1, y1
        for y, cells in rows.items():
            self._sweep(y, cells, clip, color, alpha)

    def _sweep(self, y, cells, clip, color, alpha):
        """One row of an area: partly covered pixels one by one, what lies between them as a slice."""
        covered, at = 0.0, None
        for x in sorted(cells):
            if at is not None and x > at:
                full = min(abs(covered), 1.0)
                if full > 0.002:
                    self._span(y, max(at, clip[0]), min(x, clip[2]), color, alpha * full)
            covered += cells[x]
            full = min(abs(covered), 1.0)
            if full > 0.002 and clip[0] <= x < clip[2]:
                self._blend((y * self.width + x) * 3, color, alpha * full)
            at = x + 1

    def line(self, points, color, width, alpha=1.0, dashes=None, butt=False):
        """A polyline with round joints. `dashes`: lengths of strokes and gaps in turn, points."""
        s = self.scale
        scaled = [(x * s, y * s) for x, y in points]
        if dashes:
            pieces = dashed(scaled, [length * s for length in dashes])
        else:
            pieces = [scaled]
        ink = {}
        radius = max(width * s, 0.9) / 2
        clip = self._clips[-1]
        for piece in pieces:
            if len(piece) == 1:
                piece = [piece[0], piece[0]]
            for (x0, y0), (x1, y1) in zip(piece, piece[1:]):
                if x0 == x1 or y0 == y1:
                    x0, y0, x1, y1 = on_pixels(x0, y0, x1, y1, radius)
                add_stroke(ink, self.width, clip, x0, y0, x1, y1, radius, butt)
        self._lay(ink, color, alpha)

    def stamp(self, key, outlines, places, color, alpha=1.0):
        """The same small shape at many places. `key` names it; quarters of pixels make its versions."""
        s = self.scale
        a, b, c, d = self._clips[-1]
        for x, y in places:
            x, y = round(x * s * 4), round(y * s * 4)
            at = (key, x & 3, y & 3)
            ink = self._stamps.get(at)
            if ink is None:
                ink = self._stamps[at] = self._stamp_ink(outlines, (x & 3) / 4, (y & 3) / 4)
            x, y = x >> 2, y >> 2
            for dx, dy, covered in ink:
                if a <= x + dx < c and b <= y + dy < d:
                    self._blend(((y + dy) * self.width + x + dx) * 3, color, alpha * covered)

    def _stamp_ink(self, outlines, x_part, y_part):
        """Offsets from the whole pixel and what is covered there."""
        s = self.scale
        rows = {}
        clip = (-4096, -4096, 4096, 4096)
        for outline in outlines:
            x0, y0 = outline[-1]
            for x1, y1 in outline:
                add_edge(rows, clip, x0 * s + x_part, y0 * s + y_part, x1 * s + x_part, y1 * s + y_part)
                x0, y0 = x1, y1
        ink = []
        for y, cells in rows.items():
            covered = 0.0
            for x in range(min(cells), max(cells) + 1):
                covered += cells.get(x, 0.0)
                if abs(covered) > 0.01:
                    ink.append((x, y, min(abs(covered), 1.0)))
        return ink

    def glyphs(self, key, strokes, x, y, color, width, alpha=1.0):
        """Strokes of a letter, relative to (x, y). `key` names letter, size and angle: it is drawn once and kept."""
        s = self.scale
        x, y = round(x * s * 4), round(y * s * 4)
        at = (key, x & 3, y & 3)
        ink = self._stamps.get(at)
        if ink is None:
            covered = {}
            big = 1 << 14
            clip = (0, 0, big, big)
            middle = big >> 1
            dx, dy = middle + (x & 3) / 4, middle + (y & 3) / 4
            for stroke in strokes:
                for (x0, y0), (x1, y1) in zip(stroke, stroke[1:]):
                    ends = (x0 * s + dx, y0 * s + dy, x1 * s + dx, y1 * s + dy)
                    add_stroke(covered, big, clip, *ends, max(width * s, 0.9) / 2, False)
            ink = [(place % big - middle, place // big - middle, part) for place, part in covered.items()]
            self._stamps[at] = ink
        x, y = x >> 2, y >> 2
        a, b, c, d = self._clips[-1]
        for dx, dy, part in ink:
            if a <= x + dx < c and b <= y + dy < d:
                self._blend(((y + dy) * self.width + x + dx) * 3, color, alpha * part)

    def image(self, x0, y0, x1, y1, rows):
        """Colours in a grid, stretched to the rectangle without smoothing; `rows` from the top, of triples."""
        s = self.scale
        left, right, top, bottom = round(x0 * s), round(x1 * s), round(y0 * s), round(y1 * s)
        a, b, c, d = self._clips[-1]
        wide, tall = max(1, right - left), max(1, bottom - top)
        n_rows, n_columns = len(rows), len(rows[0])
        columns = [(x - left) * n_columns // wide for x in range(max(left, a), min(right, c))]
        kept, kept_row = None, None
        for y in range(max(top, b), min(bottom, d)):
            row = (y - top) * n_rows // tall
            if row != kept_row:
                kept_row, kept = row, b"".join([bytes(rows[row][column]) for column in columns])
            start = (y * self.width + max(left, a)) * 3
            self._pixels[start : start + len(kept)] = kept

    def _lay(self, ink, color, alpha):
        blend = self._blend
        for place, covered in ink.items():
            blend(place * 3, color, alpha * covered)

    def _blend(self, at, color, part):
        pixels = self._pixels
        if part >= 0.996:
            pixels[at : at + 3] = bytes(color)
            return
        red, green, blue = pixels[at : at + 3]
        pixels[at] = int(red + (color[0] - red) * part + 0.5)
        pixels[at + 1] = int(green + (color[1] - green) * part + 0.5)
        pixels[at + 2] = int(blue + (color[2] - blue) * part + 0.5)

    def _span(self, y, x0, x1, color, alpha):
        if x1 <= x0:
            return
        start, end = (y * self.width + x0) * 3, (y * self.width + x1) * 3
        if alpha >= 0.996:
            self._pixels[start:end] = bytes(color) * (x1 - x0)
            return
        for channel in range(3):
            table = mixed(color[channel], alpha)
            part = self._pixels[start + channel : end : 3]
            self._pixels[start + channel : end : 3] = part.translate(table)


def mixed(value, alpha):
    """What each of 256 values becomes under one of this strength: a table for `translate`."""
    return table_of(value, round(alpha * 255))


@functools.lru_cache(512)
def table_of(value, strength):
    return bytes(int(old + (value - old) * strength / 255 + 0.5) for old in range(256))


def on_pixels(x0, y0, x1, y1, radius):
    """A horizontal or vertical stroke moved so that its edges fall on whole pixels: then it is sharp."""
    wide = max(1, round(2 * radius))
    part = (wide % 2) / 2
    if y0 == y1:
        y0 = y1 = math.floor(y0) + part if wide % 2 else round(y0)
    if x0 == x1:
        x0 = x1 = math.floor(x0) + part if wide % 2 else round(x0)
    return x0, y0, x1, y1


def add_stroke(ink, row, clip, x0, y0, x1, y1, radius, butt):
    """Adds to `ink` (place -> part covered) a segment with round ends, or cut ones. `row`: places in a row."""
    steep = abs(y1 - y0) > abs(x1 - x0)
    if steep:
        x0, y0, x1, y1 = y0, x0, y1, x1
        low, high, first, last = clip[0], clip[2], clip[1], clip[3]
    else:
        low, high, first, last = clip[1], clip[3], clip[0], clip[2]
    if x0 > x1:
        x0, y0, x1, y1 = x1, y1, x0, y0
    dx, dy = x1 - x0, y1 - y0
    length = math.hypot(dx, dy)
    ux, uy = (dx / length, dy / length) if length else (1.0, 0.0)
    reach = radius + 1
    slope = dy / dx if dx else 0.0
    # How far a stroke reaches across, seen along the other axis.
    across = reach / ux if length else reach
    start = max(first, math.floor(x0 - (0.5 if butt else reach)))
    for x in range(start, min(last, math.ceil(x1 + (0.5 if butt else reach)))):
        middle = x + 0.5
        on = y0 + slope * (min(max(middle, x0), x1) - x0)
        for y in range(max(low, math.floor(on - across)), min(high, math.ceil(on + across))):
            px, py = middle - x0, y + 0.5 - y0
            along = px * ux + py * uy
            if 0 <= along <= length:
                distance = abs(px * uy - py * ux)
            elif butt:
                continue
            else:
                distance = math.hypot(px, py) if along < 0 else math.hypot(px - dx, py - dy)
            part = radius + 0.5 - distance
            if part <= 0.01:
                continue
            place = x * row + y if steep else y * row + x
            part = min(part, 1.0, 2 * radius)
            if part > ink.get(place, 0.0):
                ink[place] = part


def add_edge(rows, clip, x0, y0, x1, y1):
    """Adds an edge of an area to `rows` (y -> x -> change of what is covered from there on)."""
    if y0 == y1:
        return
    sign = 1.0
    if y0 > y1:
        x0, y0, x1, y1, sign = x1, y1, x0, y0, -1.0
    slope = (x1 - x0) / (y1 - y0)
    left, top, right, bottom = clip
    if y0 < top:
        x0, y0 = x0 + slope * (top - y0), top
    y1 = min(y1, bottom)
    y = math.floor(y0)
    while y < y1:
        upper, lower = max(y, y0), min(y + 1, y1)
        if lower > upper:
            a = min(max(x0 + slope * (upper - y0), left), right)
            b = min(max(x0 + slope * (lower - y0), left), right)
            cover(rows.setdefault(y, {}), min(a, b), max(a, b), sign * (lower - upper))
        y += 1


def cover(cells, a, b, amount):
    """An edge within a row goes from `a` to `b`; to its right `amount` more is covered. Exact: areas of trapezes."""
    first, last = math.floor(a), math.floor(b)
    if first == last:
        part = (a + b) / 2 - first
        cells[first] = cells.get(first, 0.0) + amount * (1 - part)
        cells[first + 1] = cells.get(first + 1, 0.0) + amount * part
        return
    # Of pixel x the edge has passed the share p(x) at its right side; what lies right of the edge is the mean over it.
    per = 1 / (b - a)
    before = 0.0
    for x in range(first, last + 1):
        at, to = max(a, x), min(b, x + 1)
        share = (to - at) * per
        # Covered in this pixel: all that was passed before it, and the trapeze of what passes within it.
        here = (at - a) * per + share * (1 - ((at + to) / 2 - x))
        cells[x] = cells.get(x, 0.0) + amount * (here - before)
        before = here
    cells[last + 1] = cells.get(last + 1, 0.0) + amount * (1 - before)


def dashed(points, lengths):
    """Cuts a polyline into strokes: `lengths` of strokes and gaps in turn."""
    pieces, piece = [], [points[0]]
    index, left, is_on = 0, lengths[0], True
    for (x0, y0), (x1, y1) in zip(points, points[1:]):
        length = math.hypot(x1 - x0, y1 - y0)
        done = 0.0
        while length - done > left:
            done += left
            at = (x0 + (x1 - x0) * done / length, y0 + (y1 - y0) * done / length)
            if is_on:
                pieces.append([*piece, at])
            piece, is_on = [at], not is_on
            index = (index + 1) % len(lengths)
            left = max(lengths[index], 0.05)
        left -= length - done
        if is_on:
            piece.append((x1, y1))
    if is_on and len(piece) > 1:
        pieces.append(piece)
    return pieces
