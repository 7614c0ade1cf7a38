"""The time zones of the PyPI package `tzdata` in memory, where `zoneinfo` finds them.

It is no tz database of its own. `collected` reads at build time, `install` changes the two functions that look on a
disk.
"""

import io
import os
import zoneinfo
from zoneinfo import _common, _tzpath


def collected(root):
    """Key of a zone -> its data, from the package's folder `zoneinfo`."""
    zones = {}
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for file in sorted(files):
            path = os.path.join(folder, file)
            with open(path, "rb") as opened:
                data = opened.read()
            if data.startswith(b"TZif"):
                zones[os.path.relpath(path, root)] = data
    return zones


def install(zones):
    def load_tzdata(key):
        data = zones.get(key)
        if data is None:
            raise zoneinfo.ZoneInfoNotFoundError(f"No time zone found with key {key}")
        return io.BytesIO(data)

    def available_timezones():
        """The keys of all zones, but for those of special purpose."""
        return {key for key in zones if not key.startswith(("posix/", "right/")) and key != "posixrules"}

    _common.load_tzdata = load_tzdata
    _tzpath.available_timezones = zoneinfo.available_timezones = available_timezones
