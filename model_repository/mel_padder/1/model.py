from convai.backends.runtime.adapter import python_step
from convai.backends.steps.mel_padder import MelPadder

TritonPythonModel = python_step(MelPadder)
