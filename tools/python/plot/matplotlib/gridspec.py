"""`matplotlib.gridspec.GridSpec` under its own name. It is made in `figure.py`; start there."""

from .figure import GridSpec  # noqa: F401
