"""Makes the toy environment importable, here and by name from the toy configs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
