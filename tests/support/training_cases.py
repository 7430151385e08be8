"""Access to the authors' numbers in `shared/cases/training` (not part of the project; absent
outside its workplace).
"""

import numpy as np
import pytest

from support.places import SHARED

FOLDER = SHARED / "cases" / "training"


def case(name: str) -> dict[str, np.ndarray]:
    """The arrays of one case; skips the test where the folder is missing."""
    path = FOLDER / f"{name}.npz"
    if not path.is_file():
        pytest.skip("the reference cases in shared/cases/training are not here")
    with np.load(path, allow_pickle=False) as file:
        return dict(file)
