"""Says hello, and which file it is."""

from pathlib import Path

print(f"Hello Python World from {Path(__file__).name}")
