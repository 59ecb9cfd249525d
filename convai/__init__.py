"""A spoken question in, a spoken answer out: the command line of the whole pipeline."""

import os

# ONNX Runtime, which reads this when it is imported, would send its usage to Microsoft and leave files behind.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
