"""A figure: a page with axes in a grid, saved as PNG or SVG.

It decides what stands where in the grid; `layout.py` gives it lengths, `drawing.py` draws it. Start at
`Figure.savefig`.
"""

import functools
import math
import os

from .artists import Text
from .axes import Axes
from .colors import to_rgb8
from .drawing import draw_figure
from .lettering import set_text
from .options import taken, text_look
from .raster import Raster
from .svg import Svg

# A picture has at most so many pixels; a finer one is made coarser.
MAX_PIXELS = 8_000_000
MAX_INCHES = 60.0
MAX_AXES = 64


class Picture(Raster):
    """Pixels with text."""

    def text(self, x, y, text, size, color, ha, va, angle, alpha, bold):
        set_text(self, x, y, text, size, color, ha, va, angle, alpha, bold)


class Figure:
    def __init__(self, figsize=None, dpi=None, facecolor="white", **kws):
        taken(
            "figure",
            kws,
            {"edgecolor", "layout", "constrained_layout", "tight_layout", "num", "frameon", "clear", "linewidth"},
        )
        self.set_size_inches(figsize or (6.4, 4.8))
        self.dpi = float(dpi or 100)
        self.facecolor = facecolor
        self.axes, self.texts = [], []
        self.title, self.title_style = "", {}
        self.current = None
        self.mappable = None
        self.is_saved = False
        self._ratios = {}
        self._shares = {"x": False, "y": False}

    def set_size_inches(self, w, h=None):
        w, h = (w, h) if h is not None else w
        if not (0.2 <= w <= MAX_INCHES and 0.2 <= h <= MAX_INCHES):
            raise ValueError(f"a figure is 0.2 to {MAX_INCHES:g} inches wide and high")
        self.width, self.height = float(w) * 72, float(h) * 72

    def get_size_inches(self):
        return self.width / 72, self.height / 72

    def set_dpi(self, dpi):
        self.dpi = float(dpi)

    def set_figwidth(self, w):
        self.set_size_inches(w, self.height / 72)

    def set_figheight(self, h):
        self.set_size_inches(self.width / 72, h)

    def set_facecolor(self, color):
        to_rgb8(color)
        self.facecolor = color

    def is_empty(self):
        return not self.texts and not any(ax.artists or ax.texts for ax in self.axes)

    # Axes and what stands about them.

    def add_subplot(self, *args, **kws):
        """`add_subplot(2, 1, 1)`, `add_subplot(211)`, or a part of a `GridSpec`."""
        taken("add_subplot", kws, {"projection", "sharex", "sharey", "label", "title", "facecolor"})
        if kws.get("projection") not in (None, "rectilinear"):
            raise ValueError(f"this small matplotlib has no projection {kws['projection']!r}, only plain x and y")
        args = args or (1, 1, 1)
        if len(args) == 1 and isinstance(args[0], int):
            args = tuple(int(digit) for digit in str(args[0]))
        if len(args) == 1:
            place = args[0].place
        else:
            place = grid_place(*args)
        for ax in self.axes:
            if ax.place == place and ax.twin_of is None:
                self.current = ax
                return ax
        return self._added(Axes(self, place))

    def add_axes(self, rect, **kws):
        return self._added(Axes(self, tuple(float(part) for part in rect)))

    def _added(self, ax):
        if len(self.axes) >= MAX_AXES:
            raise ValueError(f"a figure has at most {MAX_AXES} axes")
        self.axes.append(ax)
        self.current = ax
        return ax

    def gca(self):
        return self.current or self.add_subplot()

    def subplots(self, nrows=1, ncols=1, sharex=False, sharey=False, squeeze=True, gridspec_kw=None, **kws):
        """Axes in rows and columns: one, a row of them, or a grid with `[row, column]` and `.flat`."""
        taken("subplots", kws, {"subplot_kw", "width_ratios", "height_ratios"})
        if not (1 <= nrows and 1 <= ncols and nrows * ncols <= MAX_AXES):
            raise ValueError(f"a figure has 1 to {MAX_AXES} axes")
        self._shares = {"x": bool(sharex) and sharex != "none", "y": bool(sharey) and sharey != "none"}
        options = {**(gridspec_kw or {}), **kws}
        self._ratios = {name: options.get(f"{name}_ratios") for name in ("width", "height")}
        if (kws.get("subplot_kw") or {}).get("projection") is not None:
            raise ValueError("this small matplotlib has no projections, only plain x and y")
        rows = [[self._added(Axes(self, (nrows, ncols, i, j, 1, 1))) for j in range(ncols)] for i in range(nrows)]
        self.current = rows[0][0]
        if squeeze and nrows == ncols == 1:
            return rows[0][0]
        if squeeze and nrows == 1:
            return Grid(rows[0])
        return Grid([row[0] for row in rows]) if squeeze and ncols == 1 else Grid(rows)

    def ratios_of(self, direction, n):
        ratios = self._ratios.get(direction)
        return list(ratios) if ratios is not None and len(ratios) == n else [1.0] * n

    def share_limits(self):
        """Axes that share x or y get the limits of all; inner ones lose the texts of their ticks."""
        for direction in ("x", "y"):
            some = [ax for ax in self.axes if ax.twin_of is None and len(ax.place) == 6]
            if not self._shares[direction] or not some:
                continue
            axes = [getattr(ax, f"{direction}axis") for ax in some]
            low, high = min(axis.low for axis in axes), max(axis.high for axis in axes)
            for ax, axis in zip(some, axes):
                axis.low, axis.high = low, high
                n_rows, _, row, column, n_down, _ = ax.place
                is_inner = row + n_down < n_rows if direction == "x" else column > 0
                axis.tick_style.setdefault("shown", not is_inner)

    def add_gridspec(self, nrows=1, ncols=1, **kws):
        self._ratios = {name: kws.get(f"{name}_ratios") for name in ("width", "height")}
        return GridSpec(nrows, ncols)

    def suptitle(self, t, **kws):
        self.title, self.title_style = str(t), text_look("suptitle", kws, 14.0)

    def text(self, x, y, s, **kws):
        text = Text(float(x), float(y), s, "figure", **text_look("text", kws, 10.0))
        self.texts.append(text)
        return text

    def legend(self, *args, **kws):
        self.gca().legend(*args, **kws)

    def colorbar(self, mappable=None, ax=None, label="", **kws):
        """A bar beside the axes that tells what the colours mean."""
        taken(
            "colorbar",
            kws,
            {"shrink", "pad", "fraction", "aspect", "orientation", "ticks", "format", "extend", "cax", "location"},
        )
        mappable = mappable or self.mappable
        if getattr(mappable, "colormap", None) is None:
            raise ValueError("there are no colours to tell of: draw with imshow, or scatter with numbers as c")
        owner = next((one for one in self.axes if mappable in one.artists), None) or self.gca()
        if isinstance(ax, Axes):
            owner = ax
        owner.colorbar_of = {"mappable": mappable, "label": label}
        return Colorbar(owner)

    def tight_layout(self, *args, **kws):
        """What it does is always done here."""

    subplots_adjust = set_tight_layout = set_layout_engine = tight_layout

    def autofmt_xdate(self, rotation=30, ha="right", **kws):
        for ax in self.axes:
            ax.tick_params("x", rotation=rotation, ha=ha)

    def clear(self, **kws):
        self.axes, self.texts, self.current, self.title = [], [], None, ""

    clf = clear

    def get_axes(self):
        return list(self.axes)

    def delaxes(self, ax):
        self.axes.remove(ax)
        self.current = self.axes[-1] if self.axes else None

    # Out of the figure.

    def savefig(self, fname, dpi=None, format=None, facecolor=None, **kws):
        """Writes a PNG or an SVG to a path or into an open file."""
        taken(
            "savefig",
            kws,
            {"bbox_inches", "pad_inches", "edgecolor", "orientation", "quality", "optimize", "progressive"},
        )
        is_path = isinstance(fname, (str, os.PathLike))
        name = os.fspath(fname) if is_path else ""
        kind = (format or os.path.splitext(name)[1].lstrip(".") or "png").lower()
        if kind not in ("png", "svg"):
            raise ValueError(f"a figure is saved as png or svg here, not as {kind!r}")
        data = self.encoded(kind, dpi, facecolor)
        if not is_path:
            fname.write(data)
        else:
            name = name if os.path.splitext(name)[1] else f"{name}.{kind}"
            with open(name, "wb") as target:
                target.write(data)
        self.is_saved = True

    def encoded(self, kind, dpi=None, facecolor=None):
        background = to_rgb8(self.facecolor if facecolor in (None, "auto", "none") else facecolor)
        if kind == "svg":
            canvas = Svg(self.width, self.height, 1.0, background)
        else:
            canvas = Picture(self.width, self.height, self.scale(dpi), background)
        draw_figure(self, canvas)
        return canvas.encoded()

    def scale(self, dpi=None):
        """Pixels a point, within the bound of a picture."""
        dpi = self.dpi if dpi in (None, "figure") else float(dpi)
        most = math.sqrt(MAX_PIXELS / (self.width * self.height))
        return min(max(dpi, 10.0) / 72, most)

    def show(self):
        from . import pyplot

        pyplot.show_one(self)


class Colorbar:
    def __init__(self, ax):
        self._ax = ax

    def set_label(self, label, **kws):
        self._ax.colorbar_of["label"] = str(label)


class Grid(list):
    """Axes in a row or in rows, indexed as users index matplotlib's arrays of them."""

    def __getitem__(self, index):
        if not isinstance(index, tuple):
            found = list.__getitem__(self, index)
            return Grid(found) if isinstance(found, list) else found
        rows = list.__getitem__(self, index[0])
        if isinstance(index[0], slice):
            return Grid([row[index[1]] for row in rows])
        found = rows[index[1]]
        return Grid(found) if isinstance(found, list) else found

    @property
    def flat(self):
        return iter(self.flatten())

    def flatten(self):
        return Grid([ax for row in self for ax in (row if isinstance(row, list) else [row])])

    ravel = flatten

    @property
    def shape(self):
        first = list.__getitem__(self, 0)
        return (len(self), len(first)) if isinstance(first, list) else (len(self),)

    @property
    def size(self):
        return len(self.flatten())


class GridSpec:
    """`gs = GridSpec(2, 2)`, then `fig.add_subplot(gs[0, :])`."""

    def __init__(self, nrows, ncols, figure=None, **kws):
        self.nrows, self.ncols = nrows, ncols

    def __getitem__(self, index):
        if not isinstance(index, tuple):
            index = divmod(index, self.ncols) if isinstance(index, int) else (index, slice(None))
        (row, n_down), (column, n_across) = (span(one, n) for one, n in zip(index, (self.nrows, self.ncols)))
        return Part((self.nrows, self.ncols, row, column, n_down, n_across))


class Part:
    def __init__(self, place):
        self.place = place


def span(index, n):
    """Where a slice or a number begins, and how many it takes."""
    found = range(n)[index]
    if isinstance(found, int):
        return found, 1
    if not found:
        raise IndexError("this part of the grid is empty")
    return found[0], len(found)


@functools.lru_cache
def grid_place(n_rows, n_columns, index):
    """The place of the axes with this number, from 1."""
    first, last = index if isinstance(index, tuple) else (index, index)
    if not (1 <= first <= last <= n_rows * n_columns <= MAX_AXES):
        raise ValueError(f"in a grid of {n_rows} x {n_columns} axes have the numbers 1 to {n_rows * n_columns}")
    row, column = divmod(first - 1, n_columns)
    last_row, last_column = divmod(last - 1, n_columns)
    return n_rows, n_columns, row, column, last_row - row + 1, last_column - column + 1
