"""A network that can be shipped: a folder that needs torch and nothing of ours.

`model.py` is the network written out, beside its weights, ONNX, a `torch.export` program, a model
card and what is needed to train it onwards. A manifest tells every changed byte.
"""

from nas_space.bundle.bundle import Bundle, Classifier, prepare
from nas_space.bundle.manifest import BundleError
from nas_space.bundle.preprocessing import Preprocessing
from nas_space.bundle.record import Compared, Fit, Int8, Measured, Record

__all__ = [
    "Bundle",
    "BundleError",
    "Classifier",
    "Compared",
    "Fit",
    "Int8",
    "Measured",
    "Preprocessing",
    "Record",
    "prepare",
]
