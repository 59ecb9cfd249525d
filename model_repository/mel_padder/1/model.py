from convai.backends.adapter import python_step
from convai.backends.glue.mel_padder import MelPadder

TritonPythonModel = python_step(MelPadder)
