"""Ctrl-C, SIGTERM and a closed terminal while a run trains: the step is finished and saved first."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator

from .. import distributed


@contextlib.contextmanager
def finish_step_first() -> Iterator[threading.Event]:
    """Ctrl-C, a notebook's stop button, SIGTERM and SIGHUP ask for a checkpoint at the end of the step.

    SIGHUP, of a terminal that is closed, is left alone where it is ignored (nohup).
    """
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

    caught = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # Windows has none
        caught.append(signal.SIGHUP)
    before = {s: signal.signal(s, ask) for s in caught}
    try:
        yield stop
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)
