from convai.backends.runtime.adapter import streaming_step
from convai.backends.steps.mel_splitter import MelSplitter

TritonPythonModel = streaming_step(MelSplitter)
