"""ONNX networks on the CPU in OpenVINO, which takes half the time where the processor multiplies BF16."""

import sys

# OpenVINO's converter, which is not used here, reports each import of OpenVINO to Google Analytics.
sys.modules.setdefault("openvino.tools.ovc", None)  # pyright: ignore[reportArgumentType]  so that its import fails
