"""Shapes under matplotlib's names: for legends, and to be added with `ax.add_patch`. They are made in `artists.py`."""

import math

from .artists import Patch as _Patch
from .artists import Rectangle as _Rectangle
from .artists import Wedge  # noqa: F401


def _look(kws):
    color = kws.pop("color", kws.pop("facecolor", kws.pop("fc", "C0")))
    edge = kws.pop("edgecolor", kws.pop("ec", "none"))
    width = kws.pop("linewidth", kws.pop("lw", None))
    kws.pop("linestyle", kws.pop("ls", None))
    if color in ("none", None):
        kws["fill"], color = False, "k"
    return {"color": color, "edgecolor": edge, "linewidth": width, **kws}


class Patch(_Patch):
    def __init__(self, **kws):
        super().__init__([(0.0, 0.0)] * 4, **_look(kws))


class Rectangle(_Rectangle):
    def __init__(self, xy, width, height, angle=0.0, **kws):
        super().__init__(xy, width, height, **_look(kws))


class Polygon(_Patch):
    def __init__(self, xy, closed=True, **kws):
        super().__init__([(float(x), float(y)) for x, y in xy], **_look(kws))


class Ellipse(_Patch):
    def __init__(self, xy, width, height, angle=0.0, **kws):
        turns = [math.radians(6 * k) for k in range(60)]
        slant = math.radians(angle)
        points = [(width / 2 * math.cos(t), height / 2 * math.sin(t)) for t in turns]
        cos, sin = math.cos(slant), math.sin(slant)
        super().__init__([(xy[0] + x * cos - y * sin, xy[1] + x * sin + y * cos) for x, y in points], **_look(kws))


class Circle(Ellipse):
    def __init__(self, xy, radius=5, **kws):
        super().__init__(xy, 2 * radius, 2 * radius, **kws)
