"""Measures of speed: ratios against other programs in the same run, and counts.

`make bench` runs all of them. `python -m benchmarks NAME ...` runs some.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
