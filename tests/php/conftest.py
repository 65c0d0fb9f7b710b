import pathlib
import sys

import pytest

for room in ("web", "lib"):  # the browser of tests/web
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / room))
pytest.register_assert_rewrite("fault_scenes", "grace_scenes", "spool_scenes")
