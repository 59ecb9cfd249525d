from convai.backends.runtime.adapter import python_step
from convai.backends.steps.audio_trimmer import AudioTrimmer

TritonPythonModel = python_step(AudioTrimmer)
