"""A host for the component, for tests: PyPI's wasmtime, folders of the caller's choice, a time limit.

It is not the host of the program, which has a policy and a limit of memory. Start at `Interpreter`.
"""

import hashlib
import os
import sys
import tempfile
import threading

import zstandard
from wasmtime import Config, Engine, Store, Trap, WasiConfig, WasmtimeError, _bindings
from wasmtime.component import Component, Linker

HERE = os.path.dirname(os.path.abspath(__file__))
COMPRESSED = os.path.join(os.path.dirname(HERE), "python.wasm.zst")
CACHE = os.environ.get("OSSICLE_PYTHON", os.path.expanduser("~/.cache/ossicle/python"))
# Bytes of each text that a cell gives, as the program asks for.
LIMIT = 64 * 1024
# CPython's own guard against deep recursion lets its calls in C use 1 MB of its memory; in WebAssembly's stack that is
# more than the default allows, and the guard would come too late.
STACK = 16 << 20


def compiled(engine, path=COMPRESSED):
    """The component, from the cache when it has been compiled before."""
    with open(path, "rb") as source:
        data = source.read()
    kept = os.path.join(CACHE, f"compiled-{hashlib.sha256(data).hexdigest()[:16]}")
    if os.path.exists(kept):
        return Component.deserialize_file(engine, kept)
    component = Component(engine, zstandard.decompress(data) if path.endswith(".zst") else data)
    os.makedirs(CACHE, exist_ok=True)
    with open(kept, "wb") as target:
        target.write(component.serialize())
    return component


class Interpreters:
    """One engine and one compiled component, from which interpreters are made."""

    def __init__(self, path=COMPRESSED):
        config = Config()
        config.epoch_interruption = True
        # The binding has no name for this one; the other must not be larger.
        _bindings.wasmtime_config_async_stack_size_set(config.ptr(), 2 * STACK)
        config.max_wasm_stack = STACK
        self.engine = Engine(config)
        self.component = compiled(self.engine, path)
        self.linker = Linker(self.engine)
        self.linker.add_wasip2()

    def fresh(self, folders=None):
        """An interpreter with `folders`: guest path -> path. Without them, a new `/mnt/data` and a new `/tmp`."""
        return Interpreter(self, folders)


class Interpreter:
    def __init__(self, made_by, folders):
        self._engine = made_by.engine
        self._kept = []
        if folders is None:
            self._kept = [tempfile.TemporaryDirectory() for _ in range(2)]
            folders = dict(zip(("/mnt/data", "/tmp"), (kept.name for kept in self._kept)))
        wasi = WasiConfig()
        for guest, path in folders.items():
            wasi.preopen_dir(path, guest)
        self._store = Store(made_by.engine)
        self._store.set_wasi(wasi)
        self._store.set_epoch_deadline(1)
        instance = made_by.linker.instantiate(self._store, made_by.component)
        self._run = instance.get_func(self._store, "run")

    def run(self, code, limit=LIMIT, seconds=600):
        """Runs a cell. Raises `Trap` or `WasmtimeError` when the interpreter ended; then it is of no use any more."""
        self._store.set_epoch_deadline(1)
        alarm = threading.Timer(seconds, self._engine.increment_epoch)
        alarm.start()
        try:
            outcome = self._run(self._store, code, limit)
            self._run.post_return(self._store)
            return outcome
        finally:
            alarm.cancel()


def reply(outcome):
    """What the model reads, as one text: output, then value, then error."""
    text = outcome.stdout
    for part in (outcome.value, outcome.error):
        if part is not None:
            text += ("" if not text or text.endswith("\n") else "\n") + part
    return text or "[no output; print() shows a value]"


ENDED = (Trap, WasmtimeError)


def with_stack(main):
    """Runs `main` in a thread whose stack is larger than WebAssembly's, and exits with what it gives."""
    status = []

    def run():
        try:
            status.append(main())
        except SystemExit as ending:
            status.append(ending.code)

    threading.stack_size(4 * STACK)
    runner = threading.Thread(target=run)
    runner.start()
    runner.join()
    sys.exit(status[0] if status else 1)
