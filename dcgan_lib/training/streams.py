"""Random numbers by purpose and index: nothing to save, nothing to restore, so a run can go on from a step's number."""

from __future__ import annotations

import numpy as np
import torch

WEIGHTS, ORDER, LATENT, FIXED_NOISE, CALIBRATION = range(5)


def generator(seed: int, stream: int, index: int) -> torch.Generator:
    """The generator of one stream (WEIGHTS, ORDER, …) at one index, such as a step or an epoch."""
    state = np.random.SeedSequence([seed, stream, index]).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)
