"""How axes look, as users call it: titles, limits, ticks, scales, grid, legend, spines.

It is the half of `axes.Axes` that draws nothing by itself. Start at `Looks`.
"""

from .options import font_size, taken, text_look
from .values import listed

SIDES = ("left", "bottom", "right", "top")


class Looks:
    def set_title(self, label, loc="center", **kws):
        self.title, self.title_style = str(label), {"loc": loc, **text_look("title", kws, 12.0)}

    def set_xlabel(self, label, **kws):
        self.xaxis.label, self.xaxis.label_style = str(label), text_look("xlabel", kws, 10.0)

    def set_ylabel(self, label, **kws):
        self.yaxis.label, self.yaxis.label_style = str(label), text_look("ylabel", kws, 10.0, rotation=90)

    def set_xlim(self, left=None, right=None, **kws):
        self.xaxis.set_limits(kws.get("xmin", left), kws.get("xmax", right))
        return self.get_xlim()

    def set_ylim(self, bottom=None, top=None, **kws):
        self.yaxis.set_limits(kws.get("ymin", bottom), kws.get("ymax", top))
        return self.get_ylim()

    def get_xlim(self):
        self.autoscale_view()
        return (self.xaxis.low, self.xaxis.high)[:: -1 if self.xaxis.is_inverted else 1]

    def get_ylim(self):
        self.autoscale_view()
        return (self.yaxis.low, self.yaxis.high)[:: -1 if self.yaxis.is_inverted else 1]

    def set_xticks(self, ticks, labels=None, **kws):
        self.xaxis.set_ticks(ticks, labels)
        self.tick_params("x", **kws)

    def set_yticks(self, ticks, labels=None, **kws):
        self.yaxis.set_ticks(ticks, labels)
        self.tick_params("y", **kws)

    def set_xticklabels(self, labels, **kws):
        self.xaxis.set_texts(labels)
        self.tick_params("x", **kws)

    def set_yticklabels(self, labels, **kws):
        self.yaxis.set_texts(labels)
        self.tick_params("y", **kws)

    def set_xscale(self, value, **kws):
        self.xaxis.set_scale(value)

    def set_yscale(self, value, **kws):
        self.yaxis.set_scale(value)

    def tick_params(self, axis="both", **kws):
        names = {"rotation", "labelrotation", "labelsize", "fontsize", "ha", "va", "labelbottom", "labelleft", "length",
                 "color", "colors", "labelcolor", "width", "direction", "pad", "bottom", "left", "top", "right",
                 "minor",
                 "rotation_mode", "fontweight", "alpha"}  # fmt: skip
        kws = taken("tick_params", kws, names)
        style = {}
        for name, value in kws.items():
            if name in ("rotation", "labelrotation"):
                style["rotation"] = {"vertical": 90.0, "horizontal": 0.0}.get(value, value)
            elif name in ("labelsize", "fontsize"):
                style["size"] = font_size(value)
            elif name in ("labelcolor", "colors", "color"):
                style["color"] = value
            elif name in ("labelbottom", "labelleft"):
                style["shown"] = bool(value)
            elif name in ("ha", "length"):
                style[name] = value
        for name, one in (("x", self.xaxis), ("y", self.yaxis)):
            if axis in (name, "both"):
                one.tick_style.update(style)

    def grid(self, visible=None, which="major", axis="both", **kws):
        kws = taken("grid", kws, {"color", "linewidth", "linestyle", "alpha", "zorder"})
        for name, one in (("x", self.xaxis), ("y", self.yaxis)):
            if axis in (name, "both"):
                one.has_grid = (not one.has_grid or bool(kws)) if visible is None else bool(visible)
                one.has_minor_grid = one.has_grid and which in ("both", "minor")
                one.grid_style.update(kws)

    def legend(self, *args, **kws):
        names = {"loc", "title", "fontsize", "ncol", "ncols", "frameon", "handles", "labels", "bbox_to_anchor",
                 "title_fontsize", "facecolor", "edgecolor", "markerscale", "reverse", "prop", "mode"}  # fmt: skip
        kws = taken("legend", kws, names)
        handles, labels = kws.get("handles"), kws.get("labels")
        if len(args) == 1:
            labels = args[0]
        elif len(args) > 1:
            handles, labels = args[:2]
        self.legend_options = {**kws, "handles": handles, "labels": None if labels is None else listed(labels)}

    def get_legend_handles_labels(self):
        shown = [artist for artist in self._labelled() if artist.label and not artist.label.startswith("_")]
        return shown, [artist.label for artist in shown]

    def _labelled(self):
        return self.artists

    def invert_xaxis(self):
        self.xaxis.is_inverted = not self.xaxis.is_inverted

    def invert_yaxis(self):
        self.yaxis.is_inverted = not self.yaxis.is_inverted

    def margins(self, x=None, y=None, **kws):
        x, y = kws.get("x", x), kws.get("y", x if y is None and "x" not in kws else y)
        if x is not None:
            self.xaxis.margin = float(x)
        if y is not None:
            self.yaxis.margin = float(y)

    def axis(self, option=None, **kws):
        if isinstance(option, str):
            if option in ("off", "on"):
                self.is_framed = option == "on"
            elif option in ("equal", "scaled", "square", "image"):
                self.aspect = "equal"
            elif option == "tight":
                self.margins(0)
            elif option != "auto":
                raise ValueError(f"axis({option!r}): there are 'off', 'on', 'equal', 'tight', 'auto' and four limits")
        elif option is not None and not isinstance(option, bool):
            self.set_xlim(*option[:2])
            self.set_ylim(*option[2:])
        elif isinstance(option, bool):
            self.is_framed = option
        return (*self.get_xlim(), *self.get_ylim())

    def set_axis_off(self):
        self.is_framed = False

    def set_aspect(self, aspect, **kws):
        if aspect not in ("auto", "equal") and not isinstance(aspect, (int, float)):
            raise ValueError("aspect is 'auto' or 'equal'")
        self.aspect = None if aspect == "auto" else "equal"

    def set_facecolor(self, color):
        self.facecolor = color

    def set(self, **kws):
        for name, value in kws.items():
            setter = getattr(self, f"set_{name}", None)
            if setter is None:
                raise AttributeError(f"Axes has no set_{name} in this small matplotlib")
            setter(*value) if name in ("xlim", "ylim") else setter(value)

    def twinx(self):
        """Axes in the same place with a y of their own, at the right."""
        twin = type(self)(self.figure, self.place)
        twin.twin_of, twin.xaxis, twin.y_on_right = self, self.xaxis, True
        self.twins.append(twin)
        return twin

    def add_patch(self, patch):
        return self.add(patch)

    add_artist = add_line = add_patch

    def get_figure(self):
        return self.figure

    @property
    def transAxes(self):
        return System("axes")

    @property
    def transData(self):
        return System("data")


class System:
    """Says in which system a text's place is meant."""

    def __init__(self, system):
        self.system = system


class Spines:
    """`ax.spines['top'].set_visible(False)`, `ax.spines[['top', 'right']].set_visible(False)`."""

    def __init__(self, ax, names=SIDES):
        self._ax, self._names = ax, names

    def __getitem__(self, names):
        return Spines(self._ax, [names] if isinstance(names, str) else list(names))

    def __getattr__(self, name):
        if name in SIDES:
            return self[name]
        raise AttributeError(f"spines have no {name!r} in this small matplotlib; they have set_visible")

    def set_visible(self, is_visible):
        for name in self._names:
            if name not in SIDES:
                raise KeyError(name)
            self._ax.sides[name] = bool(is_visible)

    def values(self):
        return [self[name] for name in self._names]
