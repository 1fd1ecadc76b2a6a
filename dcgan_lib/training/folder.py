"""A run's folder: what is written there, which run may go on in it, and how nothing in it is lost.

run.json (settings, pictures, where each stretch was computed), stats.jsonl (a line a logged step), samples/ (the same
64 latents each time), state.safetensors (the checkpoint), weights.safetensors (networks to sample from, from the first
checkpoint on), kept/ (weights of chosen steps).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from torch import Tensor

from .. import checkpoints, data, sheets
from ..architecture import Architecture
from ..config import OPERATIONAL, TrainConfig

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# Where the pictures lie, how the arithmetic is spelt and how long it goes on are compared in other ways.
NOT_COMPARED = (*OPERATIONAL, "arch", "conditional", "out", "data", "limit", "steps", "epochs", "device", "precision")
# What a checkpoint knows of its run beside the settings: its length, where it was computed, the call, the rate's fall.
LENGTH = ("steps", "stretches", "call", "decay")


def settings_of(config: TrainConfig, arch: Architecture, images: data.ImageSet) -> dict:
    """What decides every number of a run, besides its length: a run only goes on with the same."""
    values = {k: v for k, v in asdict(config).items() if k not in NOT_COMPARED}
    pictures = {"images": len(images), "fingerprint": images.fingerprint}
    if arch.classes and images.labels is not None:
        pictures["labels"] = hashlib.sha256(np.ascontiguousarray(images.labels, np.int64)).hexdigest()
    return {
        "config": values | {"start": None if config.start is None else str(config.start)},
        "architecture": arch.to_dict(),
        "pictures": pictures,
    }


def start_place(start: str | Path | None) -> str | None:
    """What weights to start from are, however they are spelt: a name as it is, of a run or a file its whole path."""
    if start is None:
        return None
    text, path = str(start), Path(start).expanduser()
    named = text in checkpoints.pretrained() and not path.is_file() and not (path / checkpoints.FILE).is_file()
    if named or text.startswith("hf:"):
        return text
    return str((path.parent if path.name == checkpoints.FILE else path).resolve())


def read_stats(path: str | Path) -> list[dict]:
    """The whole lines of a stats.jsonl, also of one that is being written."""
    rows = []
    for line in Path(path).expanduser().read_text().splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            rows.append(json.loads(line))
    return [row for row in rows if isinstance(row, dict) and "step" in row]


class RunFolder:
    """The files of one run, written by one process at a time."""

    def __init__(self, path: str | Path):
        self.path = Path(path).expanduser()
        self.run, self.stats = self.path / "run.json", self.path / "stats.jsonl"
        self.state, self.weights = self.path / "state.safetensors", self.path / checkpoints.FILE
        self.inode: int | None = None

    # ---- who may write ---------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder and hold it until the end. Raises ValueError when another process trains there.

        The lock lies on the folder itself, not on a file in it: a copy of the folder is not locked, and a folder that
        was moved still is. (Windows locks a file in it.)
        """
        if self.path.exists() and not self.path.is_dir():
            raise NotADirectoryError(f"{self.path} is a file: a run's `out` is a folder")
        busy = f"another process is training in {self.path}: wait for it or choose another folder"
        made = not self.path.exists()
        self.path.mkdir(parents=True, exist_ok=True)
        if fcntl is None:
            try:
                with FileLock(self.path / ".lock", timeout=0):
                    yield
            except Timeout:
                raise ValueError(busy) from None
            return
        handle = os.open(self.path, os.O_RDONLY)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(busy) from None
            self.inode = os.fstat(handle).st_ino
            yield
        finally:
            os.close(handle)
            if made:
                with contextlib.suppress(OSError):
                    self.path.rmdir()  # only where it is still empty: the call was refused

    def still_here(self) -> None:
        """Raises OSError when the folder was moved, replaced or deleted since it was locked."""
        try:
            here = os.stat(self.path).st_ino
        except FileNotFoundError:
            here = None
        if self.inode is not None and here != self.inode:
            raise OSError(
                f"{self.path} was moved or deleted while it trained: training has stopped, nothing was written into "
                "another folder. Where it was moved, the same call with the new --out goes on from its last checkpoint"
            )

    # ---- which run is here -----------------------------------------------------------------------------------------

    def recorded(self) -> dict | None:
        """run.json, or None where there is no run. Raises ValueError for a damaged one, saying what to do."""
        if not self.run.exists():
            if not self.state.exists():
                return None
            about = checkpoints.state_about(self.state)
            if not about.get("settings"):
                raise ValueError(
                    f"{self.run} is missing beside {self.state.name}: put it back, or choose another folder"
                )
            return about["settings"] | {k: about[k] for k in LENGTH if k in about}
        try:
            there = json.loads(self.run.read_text())
            if not isinstance(there, dict) or not all(isinstance(there[k], dict) for k in ("config", "architecture")):
                raise ValueError("not a run's settings")
            there["steps"] = there.get("steps") or there["config"]["steps"]
            return there
        except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
            raise ValueError(
                f"{self.run} is damaged ({error}): delete that file, and the checkpoint's own settings count, or "
                "choose another folder"
            ) from error

    def refuse_other(self, there: dict, settings: dict) -> None:
        """Raises ValueError that lists what differs between the run that is here and the one that is asked for."""
        differ, call = [], there.get("call", {})
        for part, now in settings.items():
            before = there.get(part)
            before = before if isinstance(before, dict) else {}
            if part == "architecture":  # a field that one of the two does not name has its default
                theirs, ours = map(Architecture.from_dict, (before, now))
                before, now = theirs.differences(ours), ours.differences(theirs)
            if part == "pictures":  # a run that was begun before its labels were noted has none to compare with
                before = {"labels": now.get("labels")} | before
            differ += [(k, before.get(k), v) for k, v in now.items() if before.get(k) != v]
            if part == "config" and before.get("start") and now["start"]:  # the same weights in other words
                place = call.get("start_place") or start_place(before["start"])
                if place == start_place(now["start"]):
                    differ = [row for row in differ if row[0] != "start"]
        if differ and {k for k, *_ in differ} <= {"images", "fingerprint", "labels"}:
            before, now = there.get("pictures", {}), settings["pictures"]
            what = f"pictures changed: {before.get('images', 0):,} there, {now['images']:,} now"
            if before.get("fingerprint") == now["fingerprint"]:
                what = "the pictures' labels changed"
            given = " That run was given its pictures: give them again by images=…." * bool(call.get("given"))
            raise ValueError(
                f"{self.path} holds a run of other pictures ({what}).{given} To go on from its weights with other "
                f"pictures: --start {self.path} (start=…) in a new folder"
            )
        if differ:
            listed = "\n".join(f"  {k}: {before!r} there, {now!r} now" for k, before, now in differ)
            raise ValueError(
                f"{self.path} holds a run with other settings:\n{listed}\n"
                "Choose another folder, or give the settings that it was started with."
            )

    def refuse_foreign(self) -> None:
        """Raises ValueError where a run that begins here would replace files that are no run's."""
        places = [self.stats, *self._of_steps()]
        if found := [place.relative_to(self.path) for place in places if place.exists()]:
            raise ValueError(f"{self.path} holds files that are no run's ({min(found)}): choose another folder")

    def finished_at(self) -> int | None:
        """The last step, where weights.safetensors are those of a run's end."""
        if not self.weights.exists():
            return None
        about = checkpoints.info(self.weights)["about"]
        return about.get("step") if about.get("finished", True) else None

    # ---- what is written -------------------------------------------------------------------------------------------

    def begin(self, about: dict) -> None:
        """run.json, and no half-written file of a process that was killed."""
        self.still_here()
        for place in (self.path, self.path / "samples", self.path / "kept"):
            for stale in place.glob(checkpoints.HALF_WRITTEN):
                stale.unlink()
        checkpoints.write_bytes(self.run, json.dumps(about, indent=1).encode())

    def keep_stats_until(self, step: int) -> list[dict]:
        """The lines up to the checkpoint's step; later or torn ones are dropped, since those steps come again."""
        rows = [row for row in read_stats(self.stats) if row["step"] <= step] if self.stats.exists() else []
        checkpoints.write_bytes(self.stats, "".join(json.dumps(row) + "\n" for row in rows).encode())
        return rows

    def drop_beyond(self, step: int) -> None:
        """Sheets and kept weights of later steps go, as their lines did: of a stretch that the run did not take."""
        for place in self._of_steps():
            if checkpoints.step_of(place) > step:
                place.unlink()

    def _of_steps(self) -> list[Path]:
        """Sheets and kept weights, a file a step."""
        return [*self.path.glob("samples/step_*.png"), *self.path.glob("kept/step_*.safetensors")]

    def add_stats(self, row: dict) -> None:
        """One line more. Raises OSError, with what is left and what to do, where the disk does not take it."""
        self.still_here()
        try:
            with open(self.stats, "a") as lines:
                lines.write(json.dumps(row) + "\n")
        except OSError as error:
            left = "goes on from the last checkpoint" if self.state.exists() else "begins anew"
            why = f"{self.stats} could not be written ({error.strerror}): make room, and the same call {left}"
            raise OSError(error.errno, why) from error

    def checkpoint(self, tensors: dict[str, Tensor], about: dict) -> None:
        """Everything that the next step depends on, whole or not at all."""
        self.still_here()
        checkpoints.save_state(self.state, tensors, about)

    def save_weights(self, networks, about: dict, kept: bool = False) -> None:
        """Networks to sample from: weights.safetensors, or kept/step_….safetensors."""
        self.still_here()
        path = self.kept(about["step"]) if kept else self.weights
        checkpoints.save(path, *networks, about)

    def kept(self, step: int) -> Path:
        """Where `keep_every` leaves the weights of a step."""
        return self.path / "kept" / f"step_{step:07d}.safetensors"

    def save_sheet(self, images: Tensor, step: int, columns: int = 8) -> None:
        """The fixed latents' pictures (64, C, H, W) as samples/step_….png."""
        self.still_here()
        sheets.save(self.path / "samples" / f"step_{step:07d}.png", sheets.tile(images, columns, gap=0))
