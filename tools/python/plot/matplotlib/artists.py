"""What stands in a plot: lines, boxes, areas, points, texts, pictures. Each knows its data, its look and its extent.

They draw themselves upon a canvas through `ax.point`, which maps data to points of the page. How they come into being
is in `axes.py` and `charts.py`.
"""

import math

from .colors import to_rgb8
from .markers import MARKERS, marker_shape
from .values import finite

DASHES = {"-": None, "solid": None, "--": (3.7, 1.6), "dashed": (3.7, 1.6), ":": (1.0, 1.65), "dotted": (1.0, 1.65),
          "-.": (6.4, 1.6, 1.0, 1.6), "dashdot": (6.4, 1.6, 1.0, 1.6), "None": (), "none": (), "": (),
          " ": ()}  # fmt: skip


class Artist:
    """What all have: a colour, how much of it, a label for the legend, an order."""

    zorder = 1

    def __init__(self, color="k", alpha=None, label=None, zorder=None):
        self.color, self.alpha = color, 1.0 if alpha is None else float(alpha)
        self.label = None if label is None else str(label)
        if zorder is not None:
            self.zorder = zorder
        self.is_visible = True
        to_rgb8(color)

    def rgb(self):
        return to_rgb8(self.color)

    def set_color(self, color):
        to_rgb8(color)
        self.color = color

    def get_color(self):
        return self.color

    def set_label(self, label):
        self.label = str(label)

    def get_label(self):
        return self.label

    def set_alpha(self, alpha):
        self.alpha = 1.0 if alpha is None else float(alpha)

    def set_visible(self, is_visible):
        self.is_visible = bool(is_visible)

    def extent(self):
        """The values of x and of y that autoscaling sees."""
        return [], []

    def sticky(self):
        """Values of x and of y at which no margin is added."""
        return (), ()


class Line2D(Artist):
    zorder = 2

    def __init__(self, xs, ys, linewidth=1.5, linestyle="-", marker=None, markersize=6.0, markercolor=None, **look):
        super().__init__(**look)
        if linestyle not in DASHES and not isinstance(linestyle, tuple):
            raise ValueError(f"there is no line style {linestyle!r}; there are '-', '--', ':', '-.', ''")
        if marker not in (None, "None", "none", "", " ") and marker not in MARKERS:
            raise ValueError(f"there is no marker {marker!r}; there are {' '.join(MARKERS)}")
        self.xs, self.ys = xs, ys
        self.linewidth, self.linestyle = float(linewidth), linestyle
        self.marker = None if marker in (None, "None", "none", "", " ") else marker
        self.markersize, self.markercolor = float(markersize), markercolor
        # A span of the whole axes in this direction is not data.
        self.spans = ""

    def get_xdata(self):
        return list(self.xs)

    def get_ydata(self):
        return list(self.ys)

    def set_data(self, xs, ys):
        self.xs, self.ys = [float(x) for x in xs], [float(y) for y in ys]

    def set_linewidth(self, width):
        self.linewidth = float(width)

    def set_linestyle(self, style):
        self.linestyle = style

    def extent(self):
        return ([] if self.spans == "x" else self.xs), ([] if self.spans == "y" else self.ys)

    def dashes(self):
        if isinstance(self.linestyle, tuple):
            lengths = self.linestyle[1]
        else:
            lengths = DASHES[self.linestyle]
        return [length * max(self.linewidth, 0.5) for length in lengths] if lengths else None

    def is_drawn(self):
        return self.linewidth > 0 and DASHES.get(self.linestyle, True) != ()

    def draw(self, canvas, ax):
        runs = list(ax.runs(self.xs, self.ys))
        if self.is_drawn():
            for run in runs:
                canvas.line(thinned(run), self.rgb(), self.linewidth, self.alpha, self.dashes(), bool(self.dashes()))
        if self.marker:
            self.draw_markers(canvas, [place for run in runs for place in run])

    def draw_markers(self, canvas, places):
        color = to_rgb8(self.markercolor) if self.markercolor not in (None, "none") else self.rgb()
        shape = marker_shape(self.marker, self.markersize)
        canvas.stamp((self.marker, self.markersize), shape, places, color, self.alpha)
        if self.markercolor is not None and to_rgb8(self.color) != color:
            for x, y in places[:5000]:
                for outline in shape:
                    canvas.line([(x + a, y + b) for a, b in [*outline, outline[0]]], self.rgb(), 1.0, self.alpha)

    def draw_key(self, canvas, x0, y0, x1, y1):
        middle = (y0 + y1) / 2
        if self.is_drawn():
            canvas.line([(x0, middle), (x1, middle)], self.rgb(), self.linewidth, self.alpha, self.dashes(), True)
        if self.marker:
            self.draw_markers(canvas, [((x0 + x1) / 2, middle)])


def thinned(run):
    """Of many points in the same half point of the page only those that show: first, lowest, highest, last."""
    if len(run) < 2000:
        return run
    kept, column = [], []
    place = None
    for x, y in run:
        here = int(x * 2)
        if here != place and column:
            kept += extremes(column)
            column = []
        place = here
        column.append((x, y))
    return kept + extremes(column)


def extremes(column):
    if len(column) < 4:
        return column
    low, high = min(range(len(column)), key=lambda k: column[k][1]), max(range(len(column)), key=lambda k: column[k][1])
    return [column[k] for k in sorted({0, low, high, len(column) - 1})]


class Patch(Artist):
    """A filled outline in data."""

    def __init__(self, points, edgecolor=None, linewidth=None, hatch=None, fill=True, **look):
        super().__init__(**look)
        self.points = points
        self.edgecolor = edgecolor
        self.linewidth = (1.0 if edgecolor not in (None, "none") else 0.0) if linewidth is None else float(linewidth)
        self.fill = fill
        self.foot = ((), ())
        self.spans = ""

    def set_facecolor(self, color):
        self.set_color(color)

    get_facecolor = Artist.get_color

    def set_edgecolor(self, color):
        self.edgecolor = color
        self.linewidth = self.linewidth or 1.0

    def set_linewidth(self, width):
        self.linewidth = float(width)

    def extent(self):
        xs, ys = [x for x, _ in self.points], [y for _, y in self.points]
        return ([] if self.spans == "x" else xs), ([] if self.spans == "y" else ys)

    def sticky(self):
        return self.foot

    def draw(self, canvas, ax):
        places = [ax.point(x, y) for x, y in self.points]
        if any(x != x or y != y for x, y in places):
            places = [(ax.clamp_x(x), ax.clamp_y(y)) for x, y in places]
        self.draw_outline(canvas, places)

    def draw_outline(self, canvas, places):
        if self.fill:
            canvas.area([places], self.rgb(), self.alpha)
        self.draw_edge(canvas, [*places, places[0]])

    def draw_edge(self, canvas, places):
        if self.linewidth > 0 and self.edgecolor not in ("none", "None"):
            color = self.rgb() if self.edgecolor is None else to_rgb8(self.edgecolor)
            canvas.line(places, color, self.linewidth, self.alpha)

    def draw_key(self, canvas, x0, y0, x1, y1):
        self.draw_outline(canvas, [(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


class Rectangle(Patch):
    def __init__(self, xy, width, height, **look):
        self.x, self.y, self.width, self.height = xy[0], xy[1], width, height
        x, y = xy
        super().__init__([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], **look)

    def get_x(self):
        return self.x

    def get_y(self):
        return self.y

    def get_width(self):
        return self.width

    def get_height(self):
        return self.height

    def draw_outline(self, canvas, places):
        if self.fill:
            canvas.rectangle(*places[0], *places[2], self.rgb(), self.alpha)
        self.draw_edge(canvas, [*places, places[0]])


class Wedge(Patch):
    """A piece of a pie, in circles of radius 1 about (0, 0)."""

    def __init__(self, center, radius, start, end, inner=0.0, **look):
        n = max(2, math.ceil(abs(end - start) / 3))
        turns = [math.radians(start + (end - start) * k / n) for k in range(n + 1)]
        points = [(center[0] + radius * math.cos(t), center[1] + radius * math.sin(t)) for t in turns]
        points += [(center[0] + inner * math.cos(t), center[1] + inner * math.sin(t)) for t in reversed(turns)]
        super().__init__(points if inner else [*points[: n + 1], tuple(center)], **look)
        self.theta1, self.theta2, self.r = start, end, radius


class PathCollection(Artist):
    """Points of a scatter plot: sizes in square points, colours one by one or one for all."""

    def __init__(self, xs, ys, sizes, colors, marker, edgecolor=None, linewidth=None, **look):
        super().__init__(color=colors[0] if colors else "C0", **look)
        if marker not in MARKERS:
            raise ValueError(f"there is no marker {marker!r}; there are {' '.join(MARKERS)}")
        self.xs, self.ys, self.sizes, self.marker = xs, ys, sizes, marker
        self.rgbs = [to_rgb8(color) for color in colors]
        self.edge = None if edgecolor in (None, "none", "face") else to_rgb8(edgecolor)
        self.linewidth = 1.0 if linewidth is None else float(linewidth)
        self.colormap = None

    def extent(self):
        return self.xs, self.ys

    def draw(self, canvas, ax):
        for index, (x, y) in enumerate(zip(self.xs, self.ys)):
            place = ax.point(x, y)
            if place[0] == place[0] and place[1] == place[1]:
                self._draw_one(canvas, index, place)

    def _draw_one(self, canvas, index, place):
        size = math.sqrt(max(self.sizes[index % len(self.sizes)], 0.0))
        if self.marker == ".":
            size *= 1.0
        shape = marker_shape(self.marker, size)
        key = (self.marker, round(size, 2))
        if self.edge is not None and self.linewidth:
            edge = marker_shape(self.marker, size + self.linewidth)
            canvas.stamp((self.marker, round(size + self.linewidth, 2)), edge, [place], self.edge, self.alpha)
            shape = marker_shape(self.marker, max(size - self.linewidth, 0.1))
            key = (self.marker, round(size - self.linewidth, 2))
        canvas.stamp(key, shape, [place], self.rgbs[index % len(self.rgbs)], self.alpha)

    def draw_key(self, canvas, x0, y0, x1, y1):
        self._draw_one(canvas, 0, ((x0 + x1) / 2, (y0 + y1) / 2))


class Text(Artist):
    """A text at a place in data, in the axes (0..1), or in the figure; perhaps with an arrow or a box."""

    zorder = 3

    def __init__(self, x, y, text, system="data", size=10.0, ha="left", va="baseline", rotation=0.0, bold=False,
                 arrow=None, box=None, **look):  # fmt: skip
        super().__init__(**look)
        self.x, self.y, self.text, self.system, self.size = x, y, str(text)[:2000], system, size
        self.ha, self.va, self.rotation, self.bold, self.arrow, self.box = ha, va, rotation, bold, arrow, box

    def get_text(self):
        return self.text

    def set_text(self, text):
        self.text = str(text)[:2000]


class AxesImage(Artist):
    zorder = 0

    def __init__(self, rows, colormap, extent, origin, **look):
        super().__init__(**look)
        self.rows, self.colormap, self.box, self.origin = rows, colormap, extent, origin

    def extent(self):
        left, right, bottom, top = self.box
        return [left, right], [bottom, top]

    def sticky(self):
        left, right, bottom, top = self.box
        return (left, right), (bottom, top)

    def draw(self, canvas, ax):
        left, right, bottom, top = self.box
        (x0, y0), (x1, y1) = ax.point(left, top), ax.point(right, bottom)
        rows = self.rows if self.origin == "upper" else self.rows[::-1]
        if x0 > x1:
            rows, x0, x1 = [row[::-1] for row in rows], x1, x0
        if y0 > y1:
            rows, y0, y1 = rows[::-1], y1, y0
        canvas.image(x0, y0, x1, y1, rows)


class BarContainer(list):
    """Bars of one call; `bar_label` takes it, and a legend."""

    label = None
    is_horizontal = False

    @property
    def patches(self):
        return list(self)


def all_of(artists):
    """The values that autoscaling sees, and those that are sticky."""
    xs, ys, foot_x, foot_y = [], [], set(), set()
    for artist in artists:
        if artist.is_visible:
            more_x, more_y = artist.extent()
            xs += finite(more_x)
            ys += finite(more_y)
            sticky_x, sticky_y = artist.sticky()
            foot_x.update(sticky_x)
            foot_y.update(sticky_y)
    return xs, ys, foot_x, foot_y
