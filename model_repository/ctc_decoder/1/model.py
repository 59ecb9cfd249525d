from convai.backends.adapter import python_step
from convai.backends.glue.ctc_decoder import CtcDecoder

TritonPythonModel = python_step(CtcDecoder)
