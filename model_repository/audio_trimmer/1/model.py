from convai.backends.adapter import python_step
from convai.backends.glue.audio_trimmer import AudioTrimmer

TritonPythonModel = python_step(AudioTrimmer)
