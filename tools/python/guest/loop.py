"""An event loop for asyncio that needs no sockets: timers and callbacks, and a sleep when nothing is ready.

It does no input or output, since there is none to wait for; a thread that is asked for runs at once, in the caller.
`Keeper` runs what a cell awaits; `install` makes this the loop that `asyncio.run` takes.
"""

import asyncio
import asyncio.base_events
import asyncio.events
import time

set_running_loop = asyncio.events._set_running_loop


class Selector:
    """Waits, and finds nothing."""

    def select(self, timeout):
        if timeout is None:
            raise RuntimeError("nothing is left that could wake what is awaited: it would wait for ever")
        if timeout > 0:
            time.sleep(timeout)
        return []

    def close(self):
        pass


class Loop(asyncio.base_events.BaseEventLoop):
    """The loop of `asyncio.base_events` upon a selector that only waits."""

    def __init__(self, selector=None):
        super().__init__()
        self._selector = Selector()

    def _process_events(self, event_list):
        pass

    def _write_to_self(self):
        pass

    def run_in_executor(self, executor, func, *args):
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    async def shutdown_default_executor(self, timeout=None):
        pass

    def add_signal_handler(self, sig, callback, *args):
        raise NotImplementedError("there are no signals here")

    def remove_signal_handler(self, sig):
        return False


class Keeper:
    """The loop of the notebook: tasks that a cell started go on when a later cell awaits something."""

    def __init__(self):
        self._loop = None

    def run(self, awaitable):
        if self._loop is None or self._loop.is_closed():
            self._loop = Loop()
        set_running_loop(None)
        return self._loop.run_until_complete(awaitable)


def install():
    """Called once, when the component is built."""
    import asyncio.unix_events

    for module in (asyncio, asyncio.unix_events, asyncio.events):
        for name in ("SelectorEventLoop", "EventLoop"):
            if hasattr(module, name):
                setattr(module, name, Loop)
    asyncio.unix_events._DefaultEventLoopPolicy._loop_factory = Loop
    asyncio.unix_events._UnixSelectorEventLoop = Loop
