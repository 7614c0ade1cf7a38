"""Colours as matplotlib's users write them, the cycle of colours, and a few maps from numbers to colours.

It is no colour science: RGB in, RGB out, three bytes. Start at `to_rgb8`.
"""

CYCLE = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"]
LETTERS = {"b": "0000ff", "g": "008000", "r": "ff0000", "c": "00bfbf", "m": "bf00bf", "y": "bfbf00", "k": "000000",
           "w": "ffffff"}  # fmt: skip
NAMES = dict(pair.split("=") for pair in """
    aqua=00ffff aquamarine=7fffd4 beige=f5f5dc black=000000 blue=0000ff blueviolet=8a2be2 brown=a52a2a burlywood=deb887
    cadetblue=5f9ea0 chartreuse=7fff00 chocolate=d2691e coral=ff7f50 cornflowerblue=6495ed crimson=dc143c cyan=00ffff
    darkblue=00008b darkcyan=008b8b darkgoldenrod=b8860b darkgray=a9a9a9 darkgreen=006400 darkgrey=a9a9a9
    darkkhaki=bdb76b darkmagenta=8b008b darkolivegreen=556b2f darkorange=ff8c00 darkorchid=9932cc darkred=8b0000
    darksalmon=e9967a darkseagreen=8fbc8f darkslateblue=483d8b darkslategray=2f4f4f darkslategrey=2f4f4f
    darkturquoise=00ced1 darkviolet=9400d3 deeppink=ff1493 deepskyblue=00bfff dimgray=696969 dimgrey=696969
    dodgerblue=1e90ff firebrick=b22222 forestgreen=228b22 fuchsia=ff00ff gainsboro=dcdcdc gold=ffd700 goldenrod=daa520
    gray=808080 green=008000 greenyellow=adff2f grey=808080 hotpink=ff69b4 indianred=cd5c5c indigo=4b0082 ivory=fffff0
    khaki=f0e68c lavender=e6e6fa lawngreen=7cfc00 lightblue=add8e6 lightcoral=f08080 lightcyan=e0ffff lightgray=d3d3d3
    lightgreen=90ee90 lightgrey=d3d3d3 lightpink=ffb6c1 lightsalmon=ffa07a lightseagreen=20b2aa lightskyblue=87cefa
    lightslategray=778899 lightsteelblue=b0c4de lightyellow=ffffe0 lime=00ff00 limegreen=32cd32 magenta=ff00ff
    maroon=800000 mediumaquamarine=66cdaa mediumblue=0000cd mediumorchid=ba55d3 mediumpurple=9370db
    mediumseagreen=3cb371 mediumslateblue=7b68ee mediumspringgreen=00fa9a mediumturquoise=48d1cc mediumvioletred=c71585
    midnightblue=191970 mistyrose=ffe4e1 navy=000080 olive=808000 olivedrab=6b8e23 orange=ffa500 orangered=ff4500
    orchid=da70d6 palegreen=98fb98 palevioletred=db7093 peachpuff=ffdab9 peru=cd853f pink=ffc0cb plum=dda0dd
    powderblue=b0e0e6 purple=800080 rebeccapurple=663399 red=ff0000 rosybrown=bc8f8f royalblue=4169e1
    saddlebrown=8b4513 salmon=fa8072 sandybrown=f4a460 seagreen=2e8b57 sienna=a0522d silver=c0c0c0 skyblue=87ceeb
    slateblue=6a5acd slategray=708090 slategrey=708090 springgreen=00ff7f steelblue=4682b4 tan=d2b48c teal=008080
    thistle=d8bfd8 tomato=ff6347 turquoise=40e0d0 violet=ee82ee wheat=f5deb3 white=ffffff whitesmoke=f5f5f5
    yellow=ffff00 yellowgreen=9acd32
""".split())  # fmt: skip
NAMES.update({f"tab:{name}": color[1:] for name, color in zip(
    "blue orange green red purple brown pink gray olive cyan".split(), CYCLE)})  # fmt: skip

# Colours at equal steps; between them it is linear.
MAPS = {
    "viridis": "440154 482878 3e4a89 31688e 26828e 1f9e89 35b779 6dcd59 b4de2c fde725",
    "plasma": "0d0887 46039f 7201a8 9c179e bd3786 d8576b ed7953 fb9f3a fdca26 f0f921",
    "inferno": "000004 1b0c41 4a0c6b 781c6d a52c60 cf4446 ed6925 fb9b06 f7d13d fcffa4",
    "magma": "000004 180f3d 440f76 721f81 9e2f7f cd4071 f1605d fd9668 feca8d fcfdbf",
    "cividis": "00224e 123570 3b496c 575d6d 707173 8a8678 a59c74 c3b369 e1cc55 fee838",
    "Blues": "f7fbff deebf7 c6dbef 9ecae1 6baed6 4292c6 2171b5 08519c 08306b",
    "Greens": "f7fcf5 e5f5e0 c7e9c0 a1d99b 74c476 41ab5d 238b45 006d2c 00441b",
    "Reds": "fff5f0 fee0d2 fcbba1 fc9272 fb6a4a ef3b2c cb181d a50f15 67000d",
    "YlOrRd": "ffffcc ffeda0 fed976 feb24c fd8d3c fc4e2a e31a1c bd0026 800026",
    "coolwarm": "3b4cc0 6788ee 9abbff c9d7f0 edd1c2 f7a889 e26952 b40426",
    "RdBu": "67001f b2182b d6604d f4a582 fddbc7 f7f7f7 d1e5f0 92c5de 4393c3 2166ac 053061",
    "RdYlGn": "a50026 d73027 f46d43 fdae61 fee08b ffffbf d9ef8b a6d96a 66bd63 1a9850 006837",
    "Spectral": "9e0142 d53e4f f46d43 fdae61 fee08b ffffbf e6f598 abdda4 66c2a5 3288bd 5e4fa2",
    "jet": "000080 0000ff 0080ff 00ffff 80ff80 ffff00 ff8000 ff0000 800000",
    "hot": "0b0000 8b0000 ff0c00 ff8d00 ffff1e ffffff",
    "gray": "000000 ffffff",
    "tab10": " ".join(color[1:] for color in CYCLE),
}


def from_hex(text):
    if len(text) in (3, 4):
        text = "".join(letter * 2 for letter in text)
    return tuple(int(text[at : at + 2], 16) for at in range(0, len(text), 2))


def parsed(color):
    """Red, green, blue and perhaps alpha, bytes; `None` when it is no colour."""
    if isinstance(color, str):
        name = color.strip()
        low = name.lower().replace(" ", "")
        if name.startswith("#") and len(name) in (4, 5, 7, 9):
            try:
                return from_hex(name[1:])
            except ValueError:
                return None
        if len(name) > 1 and name[0] == "C" and name[1:].isdigit():
            return from_hex(CYCLE[int(name[1:]) % 10][1:])
        if name in LETTERS:
            return from_hex(LETTERS[name])
        if low in NAMES:
            return from_hex(NAMES[low])
        try:
            grey = round(255 * float(name))
        except ValueError:
            return None
        return (grey, grey, grey) if 0 <= grey <= 255 else None
    try:
        parts = [float(part) for part in color]
    except (TypeError, ValueError):
        return None
    if len(parts) not in (3, 4) or not all(0 <= part <= 1 for part in parts):
        return None
    return tuple(round(255 * part) for part in parts)


def is_color(color):
    return parsed(color) is not None


def to_rgb8(color):
    """Three bytes. Raises `ValueError` with what is understood."""
    found = parsed(color)
    if found is None:
        raise ValueError(
            f"{color!r} is no colour: use a name (tab:blue, red), '#rrggbb', 'C0'..'C9' or (r, g, b) of 0..1"
        )
    return found[:3]


def to_rgba(color):
    found = parsed(color)
    if found is None:
        to_rgb8(color)
    return tuple(part / 255 for part in (*found, 255)[:4])


class Colormap:
    """From 0..1 to a colour; called like matplotlib's it gives (r, g, b, 1.0)."""

    def __init__(self, name):
        base, _, reverse = name.partition("_r")
        if base not in MAPS or reverse:
            raise ValueError(f"there is no colour map {name!r}; there are {', '.join(MAPS)}, each also with _r")
        self.name = name
        self._stops = [from_hex(color) for color in MAPS[base].split()]
        if name.endswith("_r"):
            self._stops.reverse()

    def rgb8(self, value):
        if value != value:
            return (255, 255, 255)
        at = min(max(float(value), 0.0), 1.0) * (len(self._stops) - 1)
        index = min(int(at), len(self._stops) - 2)
        part = at - index
        return tuple(round(a + (b - a) * part) for a, b in zip(self._stops[index], self._stops[index + 1]))

    def __call__(self, value):
        if isinstance(value, int) and not isinstance(value, bool) and value > 1:
            value = value / 255
        if hasattr(value, "__iter__"):
            return [self(one) for one in value]
        return (*(part / 255 for part in self.rgb8(value)), 1.0)


class Normalize:
    """From vmin..vmax to 0..1."""

    def __init__(self, vmin=None, vmax=None):
        self.vmin, self.vmax = vmin, vmax

    def __call__(self, value):
        return (value - self.vmin) / (self.vmax - self.vmin) if self.vmax != self.vmin else 0.5


def spread(values, vmin=None, vmax=None):
    """Values as parts of their range, and that range."""
    real = [value for value in values if value == value]
    low = min(real, default=0.0) if vmin is None else vmin
    high = max(real, default=1.0) if vmax is None else vmax
    norm = Normalize(low, high)
    return [norm(value) for value in values], low, high
