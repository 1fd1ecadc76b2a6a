"""Processes for a fork's price: a server has imported PyTorch before it forks, `import torch` alone takes seconds.

Output, signals, exit status and environment (but for what a module reads when it is imported) are those of
`python -m dcgan_lib …` and of what torchrun starts. Real ones are tested beside them: what a reader types is that.
"""

import contextlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import torch
from torch.distributed import TCPStore

# All that a training imports, at its optimiser's first step too, and the test modules. The only threads that they start
# are those of OpenBLAS and of jemalloc, which both mind forks.
IMPORTED = ["torch._dynamo", "sklearn.datasets", "dcgan_lib.cli", "dcgan_lib.training", "pytest"]
CONTEXT = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")  # macOS may crash in a fork
CONTEXT.set_forkserver_preload(IMPORTED)


class Forked:
    """A call in a process of its own: as much of `subprocess.Popen` as the tests use."""

    def __init__(self, call: Callable, *arguments, env: dict[str, str] = os.environ):
        self.files = [tempfile.NamedTemporaryFile() for _ in ("stdout", "stderr")]  # noqa: SIM115
        names = [file.name for file in self.files]
        self.process = CONTEXT.Process(target=_begin, args=(names, dict(env), call, arguments), daemon=True)
        self.process.start()

    def poll(self) -> int | None:
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # ended meanwhile, and the server has reaped it
            os.kill(self.process.pid, number)

    def communicate(self, timeout: float) -> list[str]:
        done = ended([self], timeout)
        return [done.stdout, done.stderr]

    returncode = property(poll)


def _begin(files: list[str], environment: dict[str, str], call: Callable, arguments: tuple) -> None:
    """In the process: what `exec` would have given it."""
    for number, name in enumerate(files, 1):
        os.dup2(os.open(name, os.O_WRONLY | os.O_APPEND), number)
    os.environ.clear()
    os.environ.update(environment)
    if "OMP_NUM_THREADS" in environment:  # which PyTorch has read in the server
        torch.set_num_threads(int(environment["OMP_NUM_THREADS"]))
    multiprocessing.set_start_method(None, force=True)  # back to Python's default
    sys.exit(call(*arguments))


def ended(processes: list[Forked], timeout: float) -> subprocess.CompletedProcess:
    """Waits for all; any that still runs then is killed, and fails the test with what was printed."""
    end = time.monotonic() + timeout
    for each in processes:
        each.process.join(max(0.0, end - time.monotonic()))
    late = [each for each in processes if each.poll() is None]
    for each in late:
        each.process.kill()
        each.process.join()
    out, err = ("".join(each.files[i].read().decode() for each in processes) for i in (0, 1))
    assert not late, f"{len(late)} of {len(processes)} processes hung for {timeout} s:\n{out}{err}"
    status = next((each.poll() for each in processes if each.poll()), 0)
    return subprocess.CompletedProcess([], status, out, err)


def run(count: int, call: Callable, *arguments, env: dict[str, str] = os.environ, timeout: float = 240):
    """`subprocess.run` of the call, for more than one as torchrun does: a store and an environment, but no rescue.

    A process that waits for another that is gone is not ended by a launcher: it must end by itself.
    """
    shared = {}
    if count > 1:
        store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
        shared |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    environments = [env | shared | ({"RANK": str(i), "LOCAL_RANK": str(i)} if shared else {}) for i in range(count)]
    return ended([Forked(call, *arguments, env=each) for each in environments], timeout)
