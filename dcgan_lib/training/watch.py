"""Says in words, once each, what a reader should look at: a D that wins, samples alike, a grid in them, copies."""

from __future__ import annotations

import functools
import warnings

import numpy as np
from torch import Tensor

from .. import data, metrics

LONG = 50  # logged lines
SETTLED = 1_000  # steps before which tints and grids are the beginning of every training
LEAST = 20  # different pictures, below which a run says at its beginning that nothing can come of it
FEW = 1_000  # pictures, up to which samples are compared with all of them


class Watch:
    """Looks at logged statistics and at the fixed pictures.

    The page 'Will it work on my pictures?' shows each symptom. For D's accuracy and the spread a warning wants more
    than the bounds of the study `symptoms`.
    """

    def __init__(self, images: data.ImageSet):
        self.said: set[str] = set()
        self.images = images
        some = np.linspace(0, len(images) - 1, min(256, len(images))).astype(int)  # a set may be sorted by class
        real = images.tensor(some)
        self.real_spread, self.real_colours = metrics.spread(real), metrics.colour_spread(real)
        self.real_grid = max(1.0, metrics.checkerboard(real))

    @functools.cached_property
    def different(self) -> list[int]:
        """Numbers of pictures of which no two are alike."""
        return sorted({picture.tobytes(): i for i, picture in enumerate(self.images.images)}.values())

    def _say(self, kind: str, text: str) -> None:
        if kind not in self.said:
            self.said.add(kind)
            warnings.warn(text, stacklevel=4)

    def pictures(self) -> None:
        """Warns of training pictures that are all the same, or of which hardly any are different."""
        found = set()
        for picture in self.images.images:
            found.add(picture.tobytes())
            if len(found) == LEAST:
                return
        n, kinds = len(self.images), len(found)
        of_these = "" if kinds == n else ", all the same" if kinds == 1 else f", {kinds:,} of them different"
        what = "one picture" if n == 1 else f"{n:,} pictures{of_these}"
        self._say("few", f"{what}: G can do no more than learn them by heart. Take more pictures.")

    def statistics(self, stats: list[dict]) -> None:
        """Warns where D tells every picture right for long; `stats` are the lines of stats.jsonl so far."""
        rows = [row for row in stats[-2 * LONG :] if "accuracy_d" in row][-LONG:]
        if len(rows) == LONG and all(row["accuracy_d"] > 0.999 for row in rows):
            self._say(
                "accuracy",
                f"D told every real picture from every generated one in the last {LONG} logged steps (up to step "
                f"{stats[-1]['step']}): G learns little from it. Try a lower learning rate for both, more pictures, "
                "batch norm in both networks, or the schedule 'simultaneous'; look at the samples before you stop it.",
            )

    def samples(self, images: Tensor, step: int) -> None:
        """Warns of generated pictures (N, C, H, W) that hardly differ, have one tint or a grid, or are copies."""
        images = images.float().cpu()
        spread, colours = metrics.spread(images), metrics.colour_spread(images)
        if step > 100 and spread < 0.05 * self.real_spread:
            self._say(
                "spread",
                f"at step {step} the samples hardly differ from each other (spread {spread:.4f}; real pictures "
                f"{self.real_spread:.3f}): G has collapsed to one picture. Try another seed, batch norm in G, a "
                "learning rate of 1e-4, or a larger batch.",
            )
        elif step >= SETTLED and colours < 0.2 * self.real_colours:
            self._say(
                "colours",
                f"at step {step} the samples have nearly one colour (their mean colours spread by {colours:.4f}, those "
                f"of real pictures by {self.real_colours:.3f}): G draws few kinds of them. Try a lower learning rate "
                "or another seed, in a new folder.",
            )
        grid = metrics.checkerboard(images)
        if step >= SETTLED and grid > 10 * self.real_grid:
            self._say(
                "grid",
                f"at step {step} a grid of two pixels stands out of the samples ({grid:.0f} times its neighbouring "
                f"frequencies; in real pictures {self.real_grid:.1f} times): a checkerboard of the strides. Early it "
                "is usual and fades. If it stays: batch norm in both networks, the paper's learning rate (0.0002), "
                "more steps; what is often named, a kernel_size that the stride divides, comes last.",
            )
        if step > 100 and len(self.images) <= FEW and "copies" not in self.said:
            known = self.images.tensor(self.different).flatten(1)
            if len(known) > 1 and (share := metrics.copied(images.flatten(1), known)) > 0.5:
                self._say(
                    "copies",
                    f"at step {step} {share:.0%} of the samples are nearly copies of one of the {len(known):,} "
                    "pictures: G learns them by heart. Take more pictures, or the weights of an earlier step "
                    "(keep_every).",
                )
