from convai.backends.runtime.adapter import streaming_step
from convai.backends.steps.phrase_splitter import PhraseSplitter

TritonPythonModel = streaming_step(PhraseSplitter)
