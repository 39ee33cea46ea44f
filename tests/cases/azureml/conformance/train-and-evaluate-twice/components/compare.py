"""Keeps the model with the higher accuracy, and its accuracy."""

import shutil
import sys
from pathlib import Path

model1, result1, model2, result2, best_model, best_result = map(Path, sys.argv[1:])
first, second = (float((folder / "accuracy.txt").read_text()) for folder in (result1, result2))
shutil.copy((model1 if first > second else model2) / "model.txt", best_model)
(best_result / "accuracy.txt").write_text(f"{max(first, second)}\n")
