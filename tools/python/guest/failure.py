"""What a model reads of an exception: the traceback with the frames of its own code, as Python prints it.

Frames of the interpreter's own parts and of the library are left out; the message says what the library thought.
Nothing here trusts that the library still works, since a cell may have changed it: see `told`.
"""

import sys
import traceback

# The longest traceback worth reading: frames at its start and at its end, when repeated ones have been folded.
N_FIRST, N_LAST = 8, 24
# How far a traceback is followed at all; the outer frames are lost first.
MAX_DEPTH = 2000
# What a message of an exception may have of characters before it is cut, so that a cut falls into the message and not
# into the traceback.
MAX_MESSAGE = 20_000

_TracebackException = traceback.TracebackException
_StackSummary = traceback.StackSummary


def told(error, is_own):
    """The traceback of `error` as text. `is_own(file name)`: is this a frame of the model's code?"""
    try:
        found = _TracebackException(
            type(error), error, error.__traceback__, limit=-MAX_DEPTH, compact=True, max_group_width=8
        )
        _keep_own(found, is_own, set())
        return _bounded("".join(found.format()))
    except BaseException:
        # A cell has replaced what formats tracebacks, or the exception's own methods fail.
        return _plainly(error, is_own)


def _keep_own(found, is_own, seen):
    """Drops the frames of others, here and in the causes."""
    if found is None or id(found) in seen:
        return
    seen.add(id(found))
    if found.stack is not None:
        own = [frame for frame in found.stack if is_own(frame.filename)]
        if _n_shown(own) > N_FIRST + N_LAST:
            note = f"[{len(own) - N_FIRST - N_LAST} frames in the middle left out]"
            found.__notes__ = [*(found.__notes__ or ()), note]
            own[N_FIRST:-N_LAST] = []
        # What cannot be compiled has no frames, only a place.
        no_frames = issubclass(found.exc_type, SyntaxError) and not own
        found.stack = None if no_frames else _StackSummary.from_list(own)
    for other in (found.__cause__, found.__context__, *(found.exceptions or ())):
        _keep_own(other, is_own, seen)


def _n_shown(frames):
    """How many frames are printed: of the same place again and again, the first three."""
    n_shown, place, n_same = 0, None, 0
    for frame in frames:
        here = (frame.filename, frame.lineno, frame.name)
        n_same = n_same + 1 if here == place else 1
        place = here
        n_shown += n_same <= 3
    return n_shown


def _bounded(text):
    if len(text) <= 2 * MAX_MESSAGE:
        return text.rstrip("\n")
    n_left_out = len(text) - 2 * MAX_MESSAGE
    return f"{text[:MAX_MESSAGE]}\n[... {n_left_out} characters left out ...]\n{text[-MAX_MESSAGE:]}".rstrip("\n")


def _plainly(error, is_own):
    """Without the library: lines and a name, and the message if that can be had."""
    lines = ["Traceback (most recent call last):"]
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if is_own(code.co_filename):
            lines.append(f'  File "{code.co_filename}", line {step.tb_lineno}, in {code.co_name}')
        step = step.tb_next
        if len(lines) > N_FIRST + N_LAST:
            del lines[N_FIRST]
    name = type(error).__name__
    try:
        message = str.__str__(BaseException.__str__(error))[:MAX_MESSAGE]
    except BaseException:
        message = "<its message cannot be shown>"
    lines.append(f"{name}: {message}" if message else name)
    return "\n".join(lines)


def ended(error):
    """What is said of `exit()` and `sys.exit(...)`."""
    try:
        code = "" if error.code is None else f": {error.code}"
    except BaseException:
        code = ""
    return f"SystemExit{code} (the cell ended here; the interpreter and its variables stay)"


def reset_limits():
    """Room for telling: a cell may have left the recursion limit where nothing works."""
    sys.settrace(None)
    sys.setprofile(None)
    sys.setrecursionlimit(1000)
