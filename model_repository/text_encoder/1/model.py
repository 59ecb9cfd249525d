from convai.backends.adapter import python_step
from convai.backends.glue.text_encoder import TextEncoder

TritonPythonModel = python_step(TextEncoder)
