"""Pies, boxes and pictures: the charts of `axes.Axes` that are not bars or lines.

It computes what is to be drawn and adds artists; it knows nothing of the page. Start at `Pictures.pie`.
"""

import math
import statistics

from .artists import AxesImage, Line2D, Patch, Text, Wedge
from .colors import Colormap, spread
from .options import taken, text_look
from .values import finite, listed, number, one_each, pairs

MAX_CELLS = 250_000


class Pictures:
    def pie(self, x, labels=None, explode=None, colors=None, autopct=None, startangle=0, counterclock=True, radius=1,
            pctdistance=0.6, labeldistance=1.1, wedgeprops=None, textprops=None, **kws):  # fmt: skip
        """Wedges of a circle. Gives the wedges, their labels, and with `autopct` the texts in them."""
        taken("pie", kws, {"shadow", "normalize", "frame", "rotatelabels", "center", "hatch", "data"})
        values = [max(0.0, number(value)) for value in listed(x)]
        total = sum(values) or 1.0
        names = one_each(labels, len(values)) if labels is None else [str(label) for label in listed(labels)]
        pairs(values, names, "pie")
        props = dict(wedgeprops or {})
        inner = radius - props.pop("width", radius)
        edge, width = props.pop("edgecolor", props.pop("ec", "white")), props.pop("linewidth", 1.0)
        look = dict(textprops or {})
        turn, wedges, texts, inside = float(startangle), [], [], []
        for k, value in enumerate(values):
            angle = 360 * value / total * (1 if counterclock else -1)
            middle = math.radians(turn + angle / 2)
            out = number(listed(explode)[k]) if explode is not None else 0.0
            center = (out * math.cos(middle), out * math.sin(middle))
            color = listed(colors)[k % len(listed(colors))] if colors is not None else self.next_color()
            wedge = Wedge(center, radius, turn, turn + angle, inner, color=color, edgecolor=edge, linewidth=width,
                          label=names[k], alpha=props.get("alpha"))  # fmt: skip
            wedges.append(self.add(wedge))
            wedge.foot = ((), ())
            ha = "left" if math.cos(middle) > 0.05 else "right" if math.cos(middle) < -0.05 else "center"
            if names[k] is not None and labeldistance is not None:
                at = [c + radius * labeldistance * f(middle) for c, f in zip(center, (math.cos, math.sin))]
                texts.append(Text(*at, names[k], **text_look("pie", dict(look), 10.0, ha=ha, va="center")))
            if autopct is not None:
                share = 100 * value / total
                at = [c + radius * pctdistance * f(middle) for c, f in zip(center, (math.cos, math.sin))]
                text = autopct(share) if callable(autopct) else autopct % share
                inside.append(Text(*at, text, **text_look("pie", dict(look), 10.0, ha="center", va="center")))
            turn += angle
        self.texts += texts + inside
        self.is_framed, self.aspect = False, "equal"
        self.set_xlim(-1.25 * radius, 1.25 * radius)
        self.set_ylim(-1.25 * radius, 1.25 * radius)
        return (wedges, texts, inside) if autopct is not None else (wedges, texts)

    def boxplot(self, x, labels=None, tick_labels=None, vert=True, positions=None, widths=None, patch_artist=False,
                showfliers=True, showmeans=False, whis=1.5, **kws):  # fmt: skip
        """Boxes from the first to the third quartile, whiskers to 1.5 times that far, points beyond."""
        taken("boxplot", kws, {"notch", "sym", "boxprops", "medianprops", "flierprops", "whiskerprops", "capprops",
              "meanprops",
                               "orientation", "zorder"})  # fmt: skip
        vert = vert and kws.get("orientation") != "horizontal"
        columns = listed(x.values() if isinstance(x, dict) else x)
        columns = columns if columns and isinstance(columns[0], (list, tuple)) else [columns]
        at = (
            [number(p) for p in listed(positions)]
            if positions is not None
            else [k + 1.0 for k in range(len(columns))]
        )
        for k, column in enumerate(columns):
            self._box(finite([number(value) for value in column]), at[k], number(widths or 0.5) / 2, vert, patch_artist,
                      showfliers, showmeans, whis)  # fmt: skip
        axis = self.xaxis if vert else self.yaxis
        names = tick_labels if tick_labels is not None else labels
        names = names if names is not None else list(x) if isinstance(x, dict) else None
        axis.set_ticks(at, names if names is not None else [f"{p:g}" for p in at])
        axis.margin = 0.5 / len(columns) if len(columns) < 10 else 0.05

    def _box(self, values, at, half, vert, is_filled, with_fliers, with_means, whis):
        if not values:
            return
        first, middle, third = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
        reach = whis * (third - first)
        low = min(value for value in values if value >= first - reach)
        high = max(value for value in values if value <= third + reach)

        def line(across, along, color="k", **look):
            xs, ys = (across, along) if vert else (along, across)
            self.add(Line2D(xs, ys, look.pop("linewidth", 1.0), color=color, **look))

        corners = [(at - half, first), (at + half, first), (at + half, third), (at - half, third)]
        if is_filled:
            self.add(Patch([c if vert else c[::-1] for c in corners], "none", color=self.next_color(), alpha=0.6))
        closed = [*corners, corners[0]]
        line([a for a, _ in closed], [b for _, b in closed])
        for end, start in ((low, first), (high, third)):
            line([at, at], [start, end])
            line([at - half / 2, at + half / 2], [end, end])
        line([at - half, at + half], [middle, middle], "C1", linewidth=1.5)
        beyond = [value for value in values if not low <= value <= high]
        if with_fliers and beyond:
            line([at] * len(beyond), beyond, linestyle="", marker="o", markersize=5, markercolor="white")
        if with_means:
            line([at], [statistics.fmean(values)], "C2", linestyle="", marker="^")

    def imshow(
        self, X, cmap=None, vmin=None, vmax=None, aspect="equal", origin="upper", extent=None, alpha=None, **kws
    ):
        """A table of numbers as colours, or of (r, g, b)."""
        taken("imshow", kws, {"norm", "zorder", "label"})
        table = [list(row) for row in X]
        if not table or not table[0] or len({len(row) for row in table}) != 1:
            raise ValueError("imshow takes rows of one length")
        n_rows, n_columns = len(table), len(table[0])
        if n_rows * n_columns > MAX_CELLS:
            raise ValueError(f"a picture has at most {MAX_CELLS} cells")
        colormap, limits = None, None
        if isinstance(table[0][0], (list, tuple)):
            top = 255 if any(part > 1 for row in table for cell in row for part in cell[:3]) else 1
            rows = [
                [tuple(min(255, max(0, round(255 * part / top))) for part in cell[:3]) for cell in row] for row in table
            ]
        else:
            colormap = cmap if isinstance(cmap, Colormap) else Colormap(cmap or "viridis")
            parts, *limits = spread([number(cell) for row in table for cell in row], vmin, vmax)
            colors = [colormap.rgb8(part) for part in parts]
            rows = [colors[k * n_columns : (k + 1) * n_columns] for k in range(n_rows)]
        box = extent or ((-0.5, n_columns - 0.5, n_rows - 0.5, -0.5) if origin == "upper" else
                         (-0.5, n_columns - 0.5, -0.5, n_rows - 0.5))  # fmt: skip
        box = tuple(number(side) for side in box)
        self.aspect = "equal" if aspect == "equal" else None
        if box[2] > box[3]:
            self.yaxis.is_inverted = True
        image = AxesImage(rows, colormap, (box[0], box[1], min(box[2:]), max(box[2:])), origin, alpha=alpha)
        # Which way round the rows lie when seen from the largest y.
        first_at = box[3] if origin == "upper" else box[2]
        image.origin = "upper" if first_at == max(box[2:]) else "lower"
        image.limits = limits
        self.figure.mappable = image if colormap else self.figure.mappable
        return self.add(image)
