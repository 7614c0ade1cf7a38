"""Keyword arguments as matplotlib has them: many names for one thing, some that mean nothing here, and the wrong ones.

It knows no plots. What a call does not take is an error that names what it takes: see `taken`.
"""

ALIASES = {
    "c": "color", "lw": "linewidth", "linewidths": "linewidth", "ls": "linestyle", "linestyles": "linestyle",
    "ms": "markersize", "mfc": "markerfacecolor", "mec": "markeredgecolor", "mew": "markeredgewidth", "fc": "facecolor",
    "ec": "edgecolor", "edgecolors": "edgecolor", "facecolors": "facecolor", "size": "fontsize",
    "horizontalalignment": "ha", "verticalalignment": "va", "weight": "fontweight", "colors": "colors",
}  # fmt: skip
# Asked for now and then, without a meaning here; nothing is lost by leaving them out.
IGNORED = {
    "antialiased", "rasterized", "picker", "clip_on", "gid", "url", "solid_capstyle", "solid_joinstyle",
    "dash_capstyle",
    "interpolation", "fontfamily", "family", "fontname", "fontstyle", "style", "markeredgewidth", "log_base", "wrap",
    "which", "plotnonfinite", "fancybox", "shadow", "framealpha", "borderaxespad", "handlelength", "labelspacing",
    "columnspacing", "handletextpad", "borderpad", "scatterpoints", "numpoints", "in_layout", "snap", "math_fontfamily",
    "transparent", "metadata", "pil_kwargs", "orientation_", "emit", "auto",
}  # fmt: skip
TEXT = {"fontsize", "ha", "va", "fontweight", "color", "rotation", "alpha", "pad", "loc", "labelpad", "y", "x",
        "bbox", "fontdict",
        "zorder", "linespacing", "rotation_mode", "backgroundcolor", "visible"}  # fmt: skip
SIZES = {
    "xx-small": 5.8,
    "x-small": 6.9,
    "small": 8.3,
    "medium": 10.0,
    "large": 12.0,
    "x-large": 14.4,
    "xx-large": 17.3,
}


def taken(what, kws, allowed):
    """The arguments under their one name. Raises `TypeError` for one that `what` does not take."""
    found = {}
    for name, value in kws.items():
        name = name if name in allowed else ALIASES.get(name, name)
        if name in allowed:
            found[name] = value
        elif name not in IGNORED:
            takes = ", ".join(sorted(allowed))
            raise TypeError(f"{what}() has no argument {name!r} in this small matplotlib; it takes {takes}")
    return found


def text_look(what, kws, size, **others):
    """How a text looks, as `artists.Text` takes it."""
    kws = {**(kws.pop("fontdict", None) or {}), **kws}
    kws = taken(what, kws, TEXT)
    rotation = kws.get("rotation", others.pop("rotation", 0.0))
    rotation = {"vertical": 90.0, "horizontal": 0.0, None: 0.0}.get(rotation, rotation)
    return {
        "size": font_size(kws.get("fontsize", size)),
        "bold": is_bold(kws.get("fontweight", "normal")),
        "color": kws.get("color", "k"),
        "alpha": kws.get("alpha"),
        "rotation": float(rotation),
        "ha": kws.get("ha", others.get("ha", "left")),
        "va": {"center_baseline": "center"}.get(kws.get("va"), kws.get("va", others.get("va", "baseline"))),
        "box": kws.get("bbox"),
    }


def font_size(size):
    if isinstance(size, str):
        if size not in SIZES:
            raise ValueError(f"there is no font size {size!r}; use points or {', '.join(SIZES)}")
        return SIZES[size]
    return min(max(float(size), 1.0), 200.0)


def is_bold(weight):
    return weight in ("bold", "semibold", "heavy", "extra bold", "black", "demibold") or (
        isinstance(weight, int) and weight >= 600
    )


def is_format(text):
    """Is this a format such as 'ro--', and not a label?"""
    try:
        format_parts(text)
    except ValueError:
        return False
    return True


def format_parts(text):
    """Colour, marker and line style of a format such as 'ro--'; `None` for what it does not say."""
    from .artists import DASHES
    from .colors import is_color
    from .markers import MARKERS

    color = marker = style = None
    if is_color(text) and not text.replace(".", "").isdigit():
        return text, None, None
    rest = text
    while rest:
        two = rest[:2]
        if two in ("--", "-."):
            style, rest = two, rest[2:]
        elif rest[0] in "-:":
            style, rest = rest[0], rest[1:]
        elif rest[0] == "C" and rest[1:2].isdigit():
            color, rest = two, rest[2:]
        elif rest[0] in MARKERS:
            marker, rest = rest[0], rest[1:]
        elif rest[0] in "bgrcmykw":
            color, rest = rest[0], rest[1:]
        else:
            raise ValueError(f"{text!r} is no format: a colour letter, a marker and a line style, such as 'ro--'")
    if style is None and marker is not None:
        style = ""
    return color, marker, style if style in DASHES or style is None else None
