from convai.backends.runtime.stream_adapter import streaming_step
from convai.backends.steps.mel_splitter import MelSplitter

TritonPythonModel = streaming_step(MelSplitter)
