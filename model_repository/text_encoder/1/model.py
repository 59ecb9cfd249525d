from convai.backends.runtime.adapter import python_step
from convai.backends.steps.text_encoder import TextEncoder

TritonPythonModel = python_step(TextEncoder)
