"""A small matplotlib, written for this interpreter: it is not the real one and has a part of what that has.

Lines, bars, histograms, scatter plots, pies, boxes and pictures, upon linear, logarithmic, date and word axes, saved as
PNG or SVG. What is missing is an error that names what is there. Users start at `pyplot`.
"""

__version__ = "0.1.ossicle"


class RcParams(dict):
    """Settings; those that mean nothing here are kept and change nothing."""

    def update(self, *args, **kws):
        for name, value in dict(*args, **kws).items():
            self[name] = value


rcParams = RcParams({"figure.figsize": (6.4, 4.8), "figure.dpi": 100.0})
rcParamsDefault = RcParams(rcParams)


def use(backend, **kws):
    """Figures become files here, whatever the backend is called."""


def get_backend():
    return "agg"


def rc(group, **kws):
    rcParams.update({f"{group}.{name}": value for name, value in kws.items()})


def rcdefaults():
    rcParams.clear()
    rcParams.update(rcParamsDefault)


def __getattr__(name):
    if name in ("cm", "pyplot", "colors", "dates", "ticker", "patches", "lines", "gridspec", "figure", "axes", "style"):
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    if name == "colormaps":
        from .colors import MAPS, Colormap

        return {key: Colormap(key) for base in MAPS for key in (base, f"{base}_r")}
    raise AttributeError(
        f"this small matplotlib has no {name!r}; it has pyplot, dates, ticker, colors, cm, patches, lines"
    )
