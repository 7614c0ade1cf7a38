"""The colour maps by name: `cm.viridis(0.5)`. They are made in `colors.py`; start there."""

from .colors import MAPS, Colormap


def get_cmap(name="viridis", lut=None):
    return Colormap(name)


def __getattr__(name):
    if name.removesuffix("_r") in MAPS:
        return Colormap(name)
    raise AttributeError(f"there is no colour map {name!r}; there are {', '.join(MAPS)}, each also with _r")
