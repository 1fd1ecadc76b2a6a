"""What to train, on what, how: the settings that `training.train` takes and the command line is made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .architecture import Architecture
from .checks import Choice, Flag, Name, Number, checked, setting

PRECISIONS = ("auto", "float32", "bfloat16")
SCHEDULES = ("simultaneous", "alternate")
# These change no weight, so they may differ when a run goes on.
OPERATIONAL = ("log_every", "sample_every", "keep_every", "checkpoint_seconds", "tensorboard", "progress")


@dataclass(frozen=True)
class TrainConfig:
    """What to train, on what, how.

    Optimiser, batch and weights default to the paper's (section 4), weight decay to the released code's; network and
    schedule default to the usual port's, since they are what a reader of today's code expects.
    Raises ValueError that names the field, what was expected and what was given.
    """

    data: str | Path = setting(rule=Name(), help="a name (see `dcgan data`), or a folder, .zip or .npz of yours")
    out: str | Path = setting(rule=Name(), help="the run's folder; the same call again goes on")
    arch: str | Architecture = setting("tutorial64", help="architecture; its channels follow the data")
    conditional: bool = setting(
        False, Flag(), "tell both networks each picture's label: the architecture gets as many classes as the data has"
    )
    limit: int | None = setting(
        None, Number(int, low=1, optional=True), "train on this many pictures of the data, drawn at random by the seed"
    )
    steps: int | None = setting(None, Number(int, low=1, high=10**12, optional=True), "minibatches")
    epochs: float | None = setting(None, Number(above=0, high=1e9, optional=True), "passes through the data")
    batch_size: int = setting(
        128, Number(int, low=2, high=2**20), "pictures a minibatch, of all processes together (paper: 128)"
    )
    schedule: str = setting(
        "simultaneous",
        Choice(SCHEDULES),
        "both networks each minibatch, or as released: minibatches alternate, each feeds one, G first",
    )
    learning_rate: float = setting(2e-4, Number(above=0), "Adam's (paper: 0.0002)")
    decay_after: float | None = setting(
        None,
        Number(low=0, below=1, optional=True),
        "after this part of the run the learning rate falls in a line to 0 at its end (released MNIST: 0.5; else none)",
    )
    beta1: float = setting(0.5, Number(low=0, below=1), "Adam's first momentum (paper: 0.5)")
    weight_decay: float = setting(
        1e-5, Number(low=0, high=1), "L2 in the gradient of every parameter (released: 1e-5 faces, 2.5e-5 MNIST)"
    )
    ema_decay: float | None = setting(
        None,
        Number(above=0, below=1, optional=True),
        "the weights file holds G's moving average with this decay, e.g. 0.999 (the paper: none)",
    )
    start: str | Path | None = setting(
        None, Name(optional=True), "weights to start from: a pretrained name, a run or a file (the paper: N(0, 0.02²))"
    )
    seed: int = setting(0, Number(int, low=0, below=2**63), "of the weights, the data's order and the latents")
    device: str = setting("auto", Name(), "auto (cuda, else mps, else cpu), cpu, cuda, cuda:0 … or mps")
    precision: str = setting("auto", Choice(PRECISIONS), "auto: bfloat16 (autocast) where it is faster")
    log_every: int = setting(10, Number(int, low=1), "steps between lines of stats.jsonl")
    sample_every: int | None = setting(
        None, Number(int, low=1, optional=True), "steps between grids of fixed latents; 24 grids in a run unless given"
    )
    keep_every: int | None = setting(
        None, Number(int, low=1, optional=True), "keep the weights of every so many steps in kept/"
    )
    checkpoint_seconds: float = setting(
        30.0, Number(low=0, high=1e6), "at most this much work is lost when the run is killed"
    )
    tensorboard: bool = setting(False, Flag(), "log to tensorboard/ in the run's folder too (extra 'tensorboard')")
    progress: bool = setting(True, Flag(), "a progress bar")

    def __post_init__(self):
        checked(self)
        if (self.steps is None) == (self.epochs is None):
            raise ValueError(f"give steps or epochs, one of the two; got steps={self.steps}, epochs={self.epochs}")
        if not isinstance(self.arch, (str, Architecture)):
            raise ValueError(f"arch must be a name of ARCHITECTURES or an Architecture, got {self.arch!r}")

    def length(self, images: int) -> int:
        """The run's steps (minibatches) on so many pictures."""
        return self.steps or max(1, round(self.epochs * images / self.batch_size))

    def decay(self, steps: int) -> tuple[int, int] | None:
        """The steps from and to which the learning rate of a run of `steps` falls; None where it stays."""
        return None if self.decay_after is None else (round(self.decay_after * steps), steps)

    def rate(self, k: int, steps: int) -> float:
        """The learning rate of step k, counted from 0, of a run of `steps`.

        Released (mnist/train_cond_dcgan.py): the same line, followed an epoch at a time.
        """
        falls = self.decay(steps)
        if falls is None or k <= falls[0]:
            return self.learning_rate
        return self.learning_rate * max(0, steps - k) / (steps - falls[0])
