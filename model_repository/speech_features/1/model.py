from convai.backends.adapter import python_step
from convai.backends.glue.speech_features import SpeechFeatures

TritonPythonModel = python_step(SpeechFeatures)
