"""`matplotlib.lines.Line2D` for legends: a line that is in no axes. It is made in `artists.py`; start there."""

from .artists import Line2D as _Line2D


class Line2D(_Line2D):
    def __init__(self, xdata, ydata, linewidth=None, linestyle="-", color="C0", marker=None, markersize=6.0, **kws):
        width = kws.pop("lw", linewidth)
        style = kws.pop("ls", linestyle)
        fill = kws.pop("markerfacecolor", kws.pop("mfc", None))
        kws.pop("markeredgecolor", None)
        xs, ys = [float(x) for x in xdata], [float(y) for y in ydata]
        super().__init__(xs, ys, 1.5 if width is None else width, style, marker, markersize, fill, color=color, **kws)
