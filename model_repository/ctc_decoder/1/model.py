from convai.backends.runtime.adapter import python_step
from convai.backends.steps.ctc_decoder import CtcDecoder

TritonPythonModel = python_step(CtcDecoder)
