"""A run's statistics and pictures for TensorBoard, in its folder (extra 'tensorboard')."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from .. import sheets


def check() -> type:
    """The class that writes events. Raises ImportError, and says what to install, without the package tensorboard."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        message = "TensorBoard's log needs the extra: pip install 'dcgan_lib[tensorboard]', or leave tensorboard out"
        raise ImportError(message) from error
    return SummaryWriter


class Board:
    """Writes what stats.jsonl and samples/ hold as TensorBoard's events, in the folder tensorboard/ of the run.

    Events behind `done`, the step that training goes on from, are dropped: these steps come again.
    Raises as `check`.
    """

    def __init__(self, run: Path, done: int):
        self.writer = check()(str(run / "tensorboard"), purge_step=done + 1 if done else 0)

    def statistics(self, row: dict) -> None:
        """A line of stats.jsonl."""
        for name, value in row.items():
            if name != "step":
                self.writer.add_scalar(name, value, row["step"])

    def samples(self, images: Tensor, step: int, columns: int) -> None:
        """The fixed latents' pictures (N, C, H, W) in [-1, 1], as one sheet."""
        sheet = sheets.tile(images, columns, gap=0)  # uint8 (H, W, 3)
        self.writer.add_image("samples", sheet, step, dataformats="HWC")

    def close(self) -> None:
        self.writer.close()
