"""The axes of a plot as users call them: lines, limits, labels, ticks, legends, texts.

Bars and the other charts are in `charts.py`; how all is laid out and drawn is in `drawing.py`. Start at `Axes.plot`.
"""

import itertools
import math

from .artists import Line2D, Patch, Text, all_of
from .axis import Axis
from .charts import Charts
from .colors import CYCLE
from .looks import SIDES, Looks, Spines
from .options import format_parts, taken, text_look
from .pictures import Pictures
from .values import listed, pairs

LINE = {"color", "linewidth", "linestyle", "marker", "markersize", "markerfacecolor", "markeredgecolor", "label",
        "alpha",
        "zorder", "drawstyle", "data", "dashes", "markevery", "where", "fmt"}  # fmt: skip
AREA = {"color", "alpha", "label", "edgecolor", "facecolor", "linewidth", "linestyle", "hatch", "zorder", "step",
        "where",
        "interpolate"}  # fmt: skip


class Axes(Looks, Charts, Pictures):
    def __init__(self, figure, place):
        self.figure = figure
        # Row, column, rows, columns spanned in the figure's grid; or a box of parts of the figure.
        self.place = place
        self.xaxis, self.yaxis = Axis(), Axis()
        self.artists, self.texts = [], []
        self.title, self.title_style = "", {}
        self.legend_options = None
        self.is_framed, self.aspect = True, None
        self.sides = dict.fromkeys(SIDES, True)
        self.spines = Spines(self)
        self.facecolor = "white"
        self.twin_of = None
        self.twins = []
        self.colorbar_of = None
        self.y_on_right = False
        # Lines and areas have a cycle of colours each, so that an area about a line has the line's.
        self._colors = {"line": itertools.cycle(CYCLE), "area": itertools.cycle(CYCLE)}
        self.box = (0.0, 0.0, 1.0, 1.0)

    def next_color(self, kind="area"):
        owner = self.twin_of or self
        return next(owner._colors[kind])

    def add(self, artist):
        self.artists.append(artist)
        return artist

    # What users draw with.

    def plot(self, *args, **kws):
        """Lines: `plot(y)`, `plot(x, y)`, `plot(x, y, 'ro--')`, several in one call. Gives the list of lines."""
        kws = taken("plot", kws, LINE)
        args, lines = list(args), []
        while args:
            first = args.pop(0)
            has_second = args and not isinstance(args[0], str)
            second = args.pop(0) if has_second else None
            form = args.pop(0) if args and isinstance(args[0], str) else kws.get("fmt", "")
            ys = first if second is None else second
            columns = columns_of(ys)
            for index, column in enumerate(columns):
                xs = range(len(column)) if second is None else columns_of(first)[index if nested(first) else 0]
                lines.append(self._line(xs, column, form, kws, index, len(columns)))
        return lines

    def _line(self, xs, ys, form, kws, index, n_columns):
        xs, ys = pairs(self.xaxis.units.numbers(xs), self.yaxis.units.numbers(ys), "plot")
        color, marker, style = format_parts(form) if form else (None, None, None)
        label = kws.get("label")
        if n_columns > 1 and label is not None and not isinstance(label, str):
            label = label[index]
        color = kws.get("color") or color or self.next_color("line")
        line = Line2D(
            xs, ys, 1.5 if kws.get("linewidth") is None else kws["linewidth"],
            kws.get("linestyle") if kws.get("linestyle") is not None else ("-" if style is None else style),
            kws.get("marker", marker), kws.get("markersize", 6.0), kws.get("markerfacecolor"),
            color=color, alpha=kws.get("alpha"), label=label, zorder=kws.get("zorder"),
        )  # fmt: skip
        if kws.get("dashes"):
            line.linestyle = (0, tuple(kws["dashes"]))
        where = {"steps": "pre", "steps-pre": "pre", "steps-mid": "mid", "steps-post": "post"}.get(kws.get("drawstyle"))
        if where:
            line.xs, line.ys = stepped(xs, ys, where)
        return self.add(line)

    def step(self, x, y, *args, where="pre", **kws):
        if where not in ("pre", "mid", "post"):
            raise ValueError("where is 'pre', 'mid' or 'post'")
        return self.plot(x, y, *args, drawstyle=f"steps-{where}", **kws)

    def semilogx(self, *args, **kws):
        self.set_xscale("log")
        return self.plot(*args, **kws)

    def semilogy(self, *args, **kws):
        self.set_yscale("log")
        return self.plot(*args, **kws)

    def loglog(self, *args, **kws):
        self.set_xscale("log")
        return self.semilogy(*args, **kws)

    def fill_between(self, x, y1, y2=0, where=None, **kws):
        kws = taken("fill_between", kws, AREA)
        xs = self.xaxis.units.numbers(x)
        upper, lower = (self._spread(values, len(xs), self.yaxis) for values in (y1, y2))
        keep = [True] * len(xs) if where is None else [bool(flag) for flag in where]
        patch, is_first = None, True
        for is_kept, run in itertools.groupby(range(len(xs)), key=lambda k: keep[k] and xs[k] == xs[k]):
            run = list(run)
            if is_kept and len(run) > 1:
                points = [(xs[k], upper[k]) for k in run] + [(xs[k], lower[k]) for k in reversed(run)]
                patch = self._area(points, kws, patch.color if patch else None, is_first)
                is_first = False
        return patch

    def _spread(self, values, n, axis):
        found = axis.units.numbers(values)
        if len(found) not in (1, n):
            raise ValueError(f"there are {n} places and {len(found)} values; they must be as many")
        return found * n if len(found) == 1 else found

    def _area(self, points, kws, color, with_label):
        color = kws.get("color") or kws.get("facecolor") or color or self.next_color()
        return self.add(
            Patch(points, kws.get("edgecolor", "none"), kws.get("linewidth"), color=color, alpha=kws.get("alpha"),
                  label=kws.get("label") if with_label else None, zorder=kws.get("zorder"))
        )  # fmt: skip

    def fill(self, x, y, color=None, **kws):
        kws = taken("fill", kws | ({"color": color} if color else {}), AREA)
        return [self._area(list(zip(self.xaxis.units.numbers(x), self.yaxis.units.numbers(y))), kws, None, True)]

    def axhline(self, y=0, xmin=0, xmax=1, **kws):
        return self._across(y, "y", kws)

    def axvline(self, x=0, ymin=0, ymax=1, **kws):
        return self._across(x, "x", kws)

    def _across(self, value, axis, kws):
        kws = taken(f"ax{'h' if axis == 'y' else 'v'}line", kws, LINE)
        value = (self.yaxis if axis == "y" else self.xaxis).units.one(value)
        ends = ([-math.inf, math.inf], [value, value])
        xs, ys = ends if axis == "y" else ends[::-1]
        line = Line2D(xs, ys, kws.get("linewidth", 1.5), kws.get("linestyle", "-"), color=kws.get("color", "C0"),
                      alpha=kws.get("alpha"), label=kws.get("label"), zorder=kws.get("zorder"))  # fmt: skip
        line.spans = "x" if axis == "y" else "y"
        return self.add(line)

    def axhspan(self, ymin, ymax, **kws):
        return self._band(self.yaxis.units.numbers([ymin, ymax]), "y", kws)

    def axvspan(self, xmin, xmax, **kws):
        return self._band(self.xaxis.units.numbers([xmin, xmax]), "x", kws)

    def _band(self, ends, axis, kws):
        kws = taken(f"ax{'h' if axis == 'y' else 'v'}span", kws, AREA)
        low, high = ends
        far = math.inf
        points = [(-far, low), (far, low), (far, high), (-far, high)]
        points = points if axis == "y" else [(y, x) for x, y in points]
        patch = self._area(points, kws, "C0", True)
        patch.spans = "x" if axis == "y" else "y"
        return patch

    def hlines(self, y, xmin, xmax, colors="C0", linestyles="-", label=None, **kws):
        return self._rules("y", y, xmin, xmax, colors, linestyles, label, kws)

    def vlines(self, x, ymin, ymax, colors="C0", linestyles="-", label=None, **kws):
        return self._rules("x", x, ymin, ymax, colors, linestyles, label, kws)

    def _rules(self, axis, at, low, high, colors, style, label, kws):
        kws = taken("hlines" if axis == "y" else "vlines", kws, LINE)
        own, other = (self.yaxis, self.xaxis) if axis == "y" else (self.xaxis, self.yaxis)
        at = own.units.numbers(at)
        ends = [self._spread(values, len(at), other) for values in (low, high)]
        color, style = kws.get("color", colors), kws.get("linestyle", style)
        color = color if isinstance(color, str) else listed(color)[0]
        for index, (value, a, b) in enumerate(zip(at, *ends)):
            xs, ys = ([a, b], [value, value]) if axis == "y" else ([value, value], [a, b])
            self.add(Line2D(xs, ys, kws.get("linewidth", 1.5), style, color=color, alpha=kws.get("alpha"),
                            label=label if index == 0 else None))  # fmt: skip

    def text(self, x, y, s, transform=None, **kws):
        system = getattr(transform, "system", "data")
        x, y = (self.xaxis.units.one(x), self.yaxis.units.one(y)) if system == "data" else (float(x), float(y))
        text = Text(x, y, s, system, **text_look("text", kws, 10.0))
        self.texts.append(text)
        return text

    def annotate(self, text, xy, xytext=None, xycoords="data", textcoords=None, arrowprops=None, **kws):
        """A text at `xytext`, and an arrow from it to `xy` when `arrowprops` is there."""
        for system in (xycoords, textcoords or xycoords):
            if system not in ("data", "offset points", "axes fraction"):
                raise ValueError("coordinates are 'data', 'axes fraction', or 'offset points' for the text")
        system = "axes" if xycoords == "axes fraction" else "data"
        target = xy if system == "axes" else (self.xaxis.units.one(xy[0]), self.yaxis.units.one(xy[1]))
        look = text_look("annotate", kws, 10.0)
        found = Text(*target, text, system, **look)
        found.shift = (0.0, 0.0)
        if xytext is not None and textcoords == "offset points":
            found.shift = (float(xytext[0]), float(xytext[1]))
        elif xytext is not None:
            where = textcoords or xycoords
            found.system = "axes" if where == "axes fraction" else "data"
            if found.system == "data":
                found.x, found.y = self.xaxis.units.one(xytext[0]), self.yaxis.units.one(xytext[1])
            else:
                found.x, found.y = xytext
        if arrowprops is not None:
            found.arrow = {"xy": target, "system": system, **arrowprops}
        self.texts.append(found)
        return found

    def autoscale_view(self):
        xs, ys, foot_x, foot_y = all_of(self.artists)
        for twin in self.twins:
            more_x, twin_ys, more_foot, twin_foot = all_of(twin.artists)
            xs, foot_x = xs + more_x, foot_x | more_foot
            twin.yaxis.autoscale(twin_ys, twin_foot)
        self.xaxis.autoscale(xs, foot_x)
        self.yaxis.autoscale(ys, foot_y)

    # From data to the page.

    def point(self, x, y):
        left, top, right, bottom = self.box
        return left + self.xaxis.place(x) * (right - left), bottom - self.yaxis.place(y) * (bottom - top)

    def clamp_x(self, x):
        return min(max(x, self.box[0] - 1e4), self.box[2] + 1e4) if x == x else self.box[0] - 1e4

    def clamp_y(self, y):
        return min(max(y, self.box[1] - 1e4), self.box[3] + 1e4) if y == y else self.box[3] + 1e4

    def runs(self, xs, ys):
        """The points of a line on the page, cut where there is none."""
        left, top, right, bottom = self.box
        straight = self.xaxis.straight(left, right), self.yaxis.straight(bottom, top)
        if len(xs) > 100 and all(straight):
            # The same as `point`, for many.
            (a, b), (c, d) = straight
            places = [(a * x + b, c * y + d) for x, y in zip(xs, ys)]
        else:
            places = [self.point(x, y) for x, y in zip(xs, ys)]
        run = []
        for place in places:
            if place[0] == place[0] and place[1] == place[1]:
                run.append(place)
            elif run:
                yield run
                run = []
        if run:
            yield run


def nested(values):
    return isinstance(values, (list, tuple)) and len(values) > 0 and isinstance(values[0], (list, tuple))


def columns_of(values):
    """One column, or those of a table given by rows."""
    values = listed(values)
    return [list(column) for column in zip(*values)] if nested(values) else [values]


def stepped(xs, ys, where):
    """The corners of a line that goes in steps."""
    new_x, new_y = list(xs[:1]), list(ys[:1])
    for k in range(1, len(xs)):
        if where == "pre":
            corners = [(xs[k - 1], ys[k])]
        elif where == "post":
            corners = [(xs[k], ys[k - 1])]
        else:
            middle = (xs[k - 1] + xs[k]) / 2
            corners = [(middle, ys[k - 1]), (middle, ys[k])]
        for x, y in [*corners, (xs[k], ys[k])]:
            new_x.append(x)
            new_y.append(y)
    return new_x, new_y
