"""The rules that this project holds itself to, as tests.  They need a build, and nothing else."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
