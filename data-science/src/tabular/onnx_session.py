"""ONNX Runtime, set up for one thread and no noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray


def open_session(path: Path, threads: int = 1) -> Any:
    """A session of an ONNX file on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_session(session: Any, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Predictions of shape (n, 1), or probabilities of shape (n, classes)."""
    return cast("NDArray[np.float32]", session.run(None, {"features": features})[0])
