"""`matplotlib.pyplot` in small: functions that draw into the current axes of the current figure.

It holds the open figures; what the functions do stands in `axes.py`, `looks.py`, `charts.py` and `figure.py`. A figure
that is shown and was not saved becomes a file: see `show`.
"""

import os

from . import RcParams, cm, rcParams, style  # noqa: F401
from .axes import Axes
from .colors import Colormap, Normalize  # noqa: F401
from .figure import Figure, GridSpec

FOLDER = "/mnt/data"
MAX_OPEN = 50

_figures = {}
_last_number = 0
_n_shown = 0


def figure(num=None, figsize=None, dpi=None, **kws):
    """A new figure, or the one with this number."""
    global _last_number
    if num is not None and num in _figures:
        _figures[num] = _figures.pop(num)
        return _figures[num]
    if len(_figures) >= MAX_OPEN:
        raise RuntimeError(f"{MAX_OPEN} figures are open: plt.close('all') closes them")
    _last_number += 1
    made = Figure(figsize or rcParams["figure.figsize"], dpi or rcParams["figure.dpi"], **kws)
    made.number = num if num is not None else _last_number
    _figures[made.number] = made
    return made


def gcf():
    return next(reversed(_figures.values())) if _figures else figure()


def gca():
    return gcf().gca()


def sca(ax):
    number = getattr(ax.figure, "number", None)
    if number in _figures:
        _figures[number] = _figures.pop(number)
    ax.figure.current = ax


def axes(arg=None, **kws):
    return gcf().add_subplot() if arg is None else gcf().add_axes(arg)


def subplot(*args, **kws):
    return gcf().add_subplot(*args, **kws)


def subplots(nrows=1, ncols=1, *, figsize=None, dpi=None, sharex=False, sharey=False, squeeze=True, gridspec_kw=None,
             subplot_kw=None, width_ratios=None, height_ratios=None, **kws):  # fmt: skip
    made = figure(figsize=figsize, dpi=dpi, **kws)
    return made, made.subplots(nrows, ncols, sharex, sharey, squeeze, gridspec_kw, subplot_kw=subplot_kw,
                               width_ratios=width_ratios, height_ratios=height_ratios)  # fmt: skip


def subplot2grid(shape, loc, rowspan=1, colspan=1, **kws):
    rows, columns = slice(loc[0], loc[0] + rowspan), slice(loc[1], loc[1] + colspan)
    return gcf().add_subplot(GridSpec(*shape)[rows, columns])


def close(fig=None):
    """Closes the current figure, this one, or with 'all' every one."""
    if fig == "all":
        _figures.clear()
    elif fig is None:
        if _figures:
            _figures.popitem()
    else:
        _figures.pop(getattr(fig, "number", fig), None)


def show(*args, **kws):
    """Writes every open figure that has something in it and was not saved to a file, says so, and closes it."""
    for number, one in list(_figures.items()):
        if one.is_empty():
            continue
        if not one.is_saved:
            show_one(one)
        _figures.pop(number, None)


def show_one(one):
    global _n_shown
    folder = FOLDER if os.path.isdir(FOLDER) else "."
    while True:
        _n_shown += 1
        path = os.path.join(folder, f"figure-{_n_shown}.png")
        if not os.path.exists(path):
            break
    one.savefig(path)
    scale = one.scale()
    print(f"[figure saved as {path}, {round(one.width * scale)} x {round(one.height * scale)} pixels]")


def savefig(*args, **kws):
    return gcf().savefig(*args, **kws)


def title(label, **kws):
    gca().set_title(label, **kws)


def xlabel(label, **kws):
    gca().set_xlabel(label, **kws)


def ylabel(label, **kws):
    gca().set_ylabel(label, **kws)


def xlim(*args, **kws):
    return gca().set_xlim(*args, **kws)


def ylim(*args, **kws):
    return gca().set_ylim(*args, **kws)


def xscale(value, **kws):
    gca().set_xscale(value, **kws)


def yscale(value, **kws):
    gca().set_yscale(value, **kws)


def xticks(ticks=None, labels=None, **kws):
    return _ticks(gca(), "x", ticks, labels, kws)


def yticks(ticks=None, labels=None, **kws):
    return _ticks(gca(), "y", ticks, labels, kws)


def _ticks(ax, name, ticks, labels, kws):
    axis = getattr(ax, f"{name}axis")
    if ticks is not None:
        axis.set_ticks(ticks, labels)
    elif labels is not None:
        axis.set_texts(labels)
    ax.tick_params(name, **kws)
    ax.autoscale_view()
    values, texts, _ = axis.shown(9)
    return values, texts


def suptitle(t, **kws):
    gcf().suptitle(t, **kws)


def figtext(x, y, s, **kws):
    return gcf().text(x, y, s, **kws)


def colorbar(mappable=None, **kws):
    return gcf().colorbar(mappable, **kws)


def tight_layout(*args, **kws):
    """What it does is always done here."""


def clf():
    gcf().clear()


def cla():
    owner = gcf()
    old = owner.gca()
    owner.axes[owner.axes.index(old)] = owner.current = Axes(owner, old.place)


def get_fignums():
    return list(_figures)


def fignum_exists(num):
    return num in _figures


def get_cmap(name="viridis", lut=None):
    return name if isinstance(name, Colormap) else Colormap(name or "viridis")


def rc(group, **kws):
    rcParams.update({f"{group}.{name}": value for name, value in kws.items()})


def nothing(*args, **kws):
    """There is no window here."""


ion = ioff = draw = pause = subplots_adjust = switch_backend = minorticks_on = minorticks_off = nothing
isinteractive = bool


def _forwarded(name):
    method = getattr(Axes, name)

    def forwarded(*args, **kws):
        return getattr(gca(), name)(*args, **kws)

    forwarded.__name__ = forwarded.__qualname__ = name
    forwarded.__doc__ = method.__doc__
    return forwarded


FORWARDED = """
    plot scatter bar barh hist pie boxplot errorbar stem step stackplot imshow fill fill_between semilogx
    semilogy loglog axhline axvline axhspan axvspan hlines vlines text annotate legend grid margins axis
    tick_params twinx bar_label
""".split()
for _name in FORWARDED:
    globals()[_name] = _forwarded(_name)
matshow = globals()["imshow"]


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    known = ", ".join(
        sorted(key for key in globals() if not key.startswith("_") and key.islower() and key != "nothing")
    )
    raise AttributeError(f"this small matplotlib has no pyplot.{name}; it has {known}")
