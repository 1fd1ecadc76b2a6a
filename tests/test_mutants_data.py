"""Pictures, where a change of one operator or number had passed every other test."""

import numpy as np
import pytest

from dcgan_lib import data


def test_indices_lie_in_one_row():
    digits = data.load("digits")
    for wrong in ([[0, 1], [2, 3]], np.zeros((2, 2), int), 3):
        with pytest.raises(TypeError, match="expected whole numbers as a list"):
            digits.select(wrong)
