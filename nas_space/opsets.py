"""The versions of ONNX's operators that an exported network may be written in."""

OPSET = 18
"""The version of ONNX's operators that is written by default: what torch translates to, and what
runtimes of years ago load."""

OPSETS = {18: "1.15", 19: "1.16", 20: "1.17", 21: "1.18", 22: "1.21", 23: "1.23"}
"""The versions that may be asked for, and the oldest onnxruntime that loaded each, of those from
1.15 to 1.23, on 2026-11-30. torch writes none before 18."""
