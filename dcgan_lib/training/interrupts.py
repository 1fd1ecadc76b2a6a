"""Ctrl-C and SIGTERM while a run trains: the step is finished and saved first."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator

from .. import distributed


@contextlib.contextmanager
def finish_step_first() -> Iterator[threading.Event]:
    """Ctrl-C, a notebook's stop button and SIGTERM ask for a checkpoint at the end of the step."""
    stop, asked = threading.Event(), 0
    if threading.current_thread() is not threading.main_thread():  # only the main thread may catch signals
        yield stop
        return

    def ask(*_) -> None:
        # Asked twice: now, without a checkpoint. Launchers of several processes ask again on their own, and a process
        # may wait for a peer that is gone: there the third time ends it.
        nonlocal asked
        asked += 1
        if asked > (1 if distributed.world_size() == 1 else 2):
            raise KeyboardInterrupt("stopped at once; the same call goes on from the last checkpoint")
        stop.set()
        with contextlib.suppress(OSError, RuntimeError):
            print("\nstopping after this step …", file=sys.stderr, flush=True)

    before = {s: signal.signal(s, ask) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)
