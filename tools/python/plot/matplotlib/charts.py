"""Charts: bars, histograms, points, errors. The part of `axes.Axes` that makes more than a line.

It computes what is to be drawn and adds artists; it knows nothing of the page. Pies, boxes and pictures are in
`pictures.py`. Start at `Charts.bar`.
"""

import bisect
import math

from .artists import BarContainer, Line2D, PathCollection, Rectangle, Text
from .colors import Colormap, is_color, spread
from .options import taken, text_look
from .values import finite, listed, number, number_each, one_each, pairs

BAR = {"color", "edgecolor", "linewidth", "label", "alpha", "align", "zorder", "yerr", "xerr", "capsize", "ecolor",
       "hatch", "facecolor", "fill", "tick_label", "error_kw", "data", "log"}  # fmt: skip


class Charts:
    def bar(self, x, height, width=0.8, bottom=None, **kws):
        return self._bars(x, height, width, bottom, kws, is_horizontal=False)

    def barh(self, y, width, height=0.8, left=None, **kws):
        return self._bars(y, width, height, left, kws, is_horizontal=True)

    def _bars(self, places, lengths, thickness, start, kws, is_horizontal):
        what = "barh" if is_horizontal else "bar"
        kws = taken(what, kws, BAR)
        across, along = (self.yaxis, self.xaxis) if is_horizontal else (self.xaxis, self.yaxis)
        if kws.get("log"):
            along.set_scale("log")
        at, values = across.units.numbers(places), along.units.numbers(lengths)
        values = values * len(at) if len(values) == 1 else values
        pairs(at, values, what)
        n = len(at)
        thick = number_each(thickness, n)
        starts = number_each(start, n)
        color = kws.get("color") if kws.get("color") is not None else kws.get("facecolor")
        colors = one_each(self.next_color() if color is None else color, n)
        edges, labels = one_each(kws.get("edgecolor", "none"), n), kws.get("label")
        bars = BarContainer()
        bars.is_horizontal = is_horizontal
        bars.label = labels if isinstance(labels, str) else None
        shift = 0.0 if kws.get("align") == "edge" else 0.5
        for k in range(n):
            label = (labels if k == 0 else None) if isinstance(labels, str) or labels is None else listed(labels)[k]
            low = at[k] - thick[k] * shift
            corner, size = (low, starts[k]), (thick[k], values[k])
            corner, size = (corner[::-1], size[::-1]) if is_horizontal else (corner, size)
            bar = Rectangle(corner, *size, color=colors[k], edgecolor=edges[k], linewidth=kws.get("linewidth"),
                            label=label, alpha=kws.get("alpha"), zorder=kws.get("zorder"), fill=kws.get("fill",
                                                       True))  # fmt: skip
            bar.foot = ((starts[k],), ()) if is_horizontal else ((), (starts[k],))
            bars.append(self.add(bar))
        if kws.get("tick_label") is not None:
            across.set_ticks(at, one_each(kws["tick_label"], n))
        ends = [a + b for a, b in zip(starts, values)]
        for name in ("xerr", "yerr"):
            if kws.get(name) is not None:
                xs, ys = (ends, at) if is_horizontal else (at, ends)
                style = {"fmt": "none", "ecolor": kws.get("ecolor", "k"), "capsize": kws.get("capsize", 0)}
                self.errorbar(xs, ys, **{name: kws[name]}, **style, **(kws.get("error_kw") or {}))
        return bars

    def bar_label(self, container, labels=None, fmt="%g", label_type="edge", padding=2, **kws):
        """Writes its value at each bar."""
        found = []
        along = self.xaxis if container.is_horizontal else self.yaxis
        along.margin = max(along.margin, 0.1)
        for k, bar in enumerate(container):
            value = bar.width if container.is_horizontal else bar.height
            if labels is not None:
                text = str(listed(labels)[k])
            elif callable(fmt):
                text = fmt(value)
            else:
                text = fmt.format(value) if "{" in fmt else fmt % value
            middle = (bar.x + bar.width / 2, bar.y + bar.height / 2)
            gap = float(padding) * (-1 if value < 0 else 1)
            if label_type == "center":
                x, y, ha, va, shift = *middle, "center", "center", (0.0, 0.0)
            elif container.is_horizontal:
                x, y, ha, va, shift = (
                    bar.x + bar.width,
                    middle[1],
                    "left" if value >= 0 else "right",
                    "center",
                    (gap, 0.0),
                )
            else:
                x, y, ha, va, shift = (
                    middle[0],
                    bar.y + bar.height,
                    "center",
                    "bottom" if value >= 0 else "top",
                    (0.0, gap),
                )
            text = Text(x, y, text, **text_look("bar_label", dict(kws), 10.0, ha=ha, va=va))
            text.shift = shift
            self.texts.append(text)
            found.append(text)
        return found

    def hist(self, x, bins=10, range=None, density=False, cumulative=False, histtype="bar", orientation="vertical",
             weights=None, stacked=False, rwidth=None, **kws):  # fmt: skip
        """Counts per bin. Gives the counts, the edges of the bins, and the bars."""
        columns = listed(x)
        is_many = bool(columns) and isinstance(columns[0], (list, tuple))
        is_horizontal = orientation == "horizontal"
        axis = self.yaxis if is_horizontal else self.xaxis
        columns = [finite(axis.units.numbers(column)) for column in (columns if is_many else [columns])]
        axis.units.are_whole = False
        edges = bin_edges([value for column in columns for value in column], bins, range)
        counts = [counted(column, edges, listed(weights) if weights is not None else None) for column in columns]
        for column in counts:
            total = sum(column)
            if cumulative:
                for k in builtin_range(1, len(column)):
                    column[k] += column[k - 1]
            if density and total:
                column[:] = [c / total / (1 if cumulative else b - a) for c, a, b in zip(column, edges, edges[1:])]
        labels, colors = one_each(kws.pop("label", None), len(columns)), one_each(kws.pop("color", None), len(columns))
        all_bars, base = [], [0.0] * (len(edges) - 1)
        n_beside = 1 if stacked or histtype.startswith("step") else len(columns)
        for k, column in enumerate(counts):
            color = colors[k] or self.next_color()
            if histtype == "step":
                xs, ys = [e for e in edges for _ in (0, 1)], [0.0, *[c for c in column for _ in (0, 1)], 0.0]
                xs, ys = (ys, xs) if is_horizontal else (xs, ys)
                all_bars.append([self.add(Line2D(xs, ys, color=color, label=labels[k], alpha=kws.get("alpha")))])
                continue
            wide = [(b - a) * (rwidth or (1.0 if n_beside == 1 else 0.85)) for a, b in zip(edges, edges[1:])]
            mids = [a + (b - a) / 2 + (k - (n_beside - 1) / 2) * w / n_beside for a, b, w in zip(edges, edges[1:],
                    wide)] \
                if n_beside > 1 else [(a + b) / 2 for a, b in zip(edges, edges[1:])]  # fmt: skip
            look = dict(kws, color=color, label=labels[k])
            wide = [w / n_beside for w in wide]
            all_bars.append(self._bars(mids, column, wide, list(base) if stacked else None, look, is_horizontal))
            if stacked:
                base = [a + b for a, b in zip(base, column)]
        return (counts, edges, all_bars) if is_many else (counts[0], edges, all_bars[0])

    def scatter(self, x, y, s=None, c=None, marker="o", cmap=None, vmin=None, vmax=None, **kws):
        kws = taken(
            "scatter", kws, {"color", "label", "alpha", "edgecolor", "linewidth", "zorder", "facecolor", "norm", "data"}
        )
        xs, ys = pairs(self.xaxis.units.numbers(x), self.yaxis.units.numbers(y), "scatter")
        sizes = [36.0] if s is None else [number(size) for size in listed(s)] or [36.0]
        c = kws.get("color", kws.get("facecolor")) if c is None else c
        limits, colormap = None, None
        if c is None:
            colors = [self.next_color()]
        elif is_color(c) and not (len(xs) in (3, 4) and not isinstance(c, str)):
            colors = [c]
        else:
            values = listed(c)
            if all(isinstance(value, str) or hasattr(value, "__len__") for value in values):
                colors = values
            else:
                colormap = cmap if isinstance(cmap, Colormap) else Colormap(cmap or "viridis")
                parts, *limits = spread([number(value) for value in values], vmin, vmax)
                colors = [colormap(part)[:3] for part in parts]
        points = PathCollection(xs, ys, sizes, colors, marker, kws.get("edgecolor"), kws.get("linewidth"),
                                alpha=kws.get("alpha"), label=kws.get("label"), zorder=kws.get("zorder"))  # fmt: skip
        points.colormap, points.limits = colormap, limits
        self.figure.mappable = points if colormap else self.figure.mappable
        return self.add(points)

    def errorbar(self, x, y, yerr=None, xerr=None, fmt="", ecolor=None, elinewidth=None, capsize=0, **kws):
        """A line (none with `fmt='none'`) and bars of error: one for all, one each, or lower and upper ones."""
        xs, ys = self.xaxis.units.numbers(x), self.yaxis.units.numbers(y)
        line = None
        if fmt != "none":
            (line,) = self.plot(x, y, fmt, **kws) if fmt else self.plot(x, y, **kws)
        color = ecolor or (line.color if line else kws.get("color") or "C0")
        width, cap = elinewidth or 1.5, number(capsize or 0)
        for errors, is_y in ((yerr, True), (xerr, False)):
            if errors is None:
                continue
            lows, highs = error_sizes(errors, len(xs))
            for px, py, low, high in zip(xs, ys, lows, highs):
                ends = ([px, px], [py - low, py + high]) if is_y else ([px - low, px + high], [py, py])
                marker = ("_" if is_y else "|") if cap else None
                self.add(Line2D(*ends, width, "-", marker, cap * 2, color=color, alpha=kws.get("alpha")))
        return line

    def stem(self, x, y=None, linefmt="C0-", markerfmt="C0o", basefmt="C3-", bottom=0, label=None):
        xs = self.xaxis.units.numbers(x) if y is not None else [float(k) for k in builtin_range(len(listed(x)))]
        ys = self.yaxis.units.numbers(x if y is None else y)
        for px, py in zip(xs, ys):
            self.plot([px, px], [bottom, py], linefmt)
        self.plot([min(xs, default=0), max(xs, default=1)], [bottom, bottom], basefmt)
        return self.plot(xs, ys, markerfmt, label=label, linestyle="")[0]

    def stackplot(self, x, *ys, labels=(), colors=None, alpha=None, **kws):
        rows = [list(row) for row in ys[0]] if len(ys) == 1 and isinstance(listed(ys[0])[0], (list, tuple)) else ys
        base, areas = [0.0] * len(listed(x)), []
        for k, row in enumerate(rows):
            top = [a + b for a, b in zip(base, self.yaxis.units.numbers(row))]
            look = {"label": labels[k] if k < len(labels) else None, "alpha": alpha}
            if colors is not None:
                look["color"] = listed(colors)[k % len(listed(colors))]
            areas.append(self.fill_between(x, top, base, **look))
            base = top
        return areas


builtin_range = range


def bin_edges(values, bins, limits):
    """The edges of the bins: as given, or so many of one width; `'auto'` follows Sturges."""
    if not isinstance(bins, (int, str)):
        edges = [number(edge) for edge in listed(bins)]
        if len(edges) < 2 or sorted(edges) != edges:
            raise ValueError("bins are a number, or edges in rising order")
        return edges
    n = max(1, math.ceil(math.log2(len(values) or 1)) + 1) if isinstance(bins, str) else bins
    if not 1 <= n <= 10_000:
        raise ValueError("there can be 1 to 10000 bins")
    low, high = limits or (min(values, default=0.0), max(values, default=1.0))
    if low == high:
        low, high = low - 0.5, high + 0.5
    return [low + (high - low) * k / n for k in builtin_range(n)] + [float(high)]


def counted(values, edges, weights):
    counts = [0.0] * (len(edges) - 1)
    for k, value in enumerate(values):
        if edges[0] <= value <= edges[-1]:
            counts[min(bisect.bisect_right(edges, value) - 1, len(counts) - 1)] += (
                number(weights[k]) if weights else 1.0
            )
    return counts


def error_sizes(errors, n):
    """Lower and upper errors, one of each a point."""
    errors = listed(errors)
    if len(errors) == 2 and all(isinstance(side, (list, tuple)) for side in errors):
        lows, highs = ([number(value) for value in side] for side in errors)
    else:
        lows = highs = number_each(errors, n)
    if len(lows) != n or len(highs) != n:
        raise ValueError(f"there are {n} points and {len(lows)} errors; they must be as many")
    return lows, highs
