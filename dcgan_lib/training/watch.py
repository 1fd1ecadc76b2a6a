"""Says in words, once each, when training looks collapsed."""

from __future__ import annotations

import warnings

from torch import Tensor

from .. import data, metrics

LONG = 50  # logged lines


class Watch:
    """Looks at logged statistics and at the fixed pictures."""

    def __init__(self, images: data.ImageSet):
        self.said: set[str] = set()
        self.real_spread = metrics.spread(images.tensor(slice(0, 256)))

    def _say(self, kind: str, text: str) -> None:
        if kind not in self.said:
            self.said.add(kind)
            warnings.warn(text, stacklevel=4)

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
        """Warns where generated pictures (N, C, H, W) hardly differ from each other."""
        spread = metrics.spread(images)
        if step > 100 and spread < 0.05 * self.real_spread:
            self._say(
                "spread",
                f"at step {step} the samples hardly differ from each other (spread {spread:.4f}; real pictures "
                f"{self.real_spread:.3f}): G has collapsed to one picture. Try another seed, batch norm in G, a "
                "learning rate of 1e-4, or a larger batch.",
            )
