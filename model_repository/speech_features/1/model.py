from convai.backends.runtime.adapter import python_step
from convai.backends.steps.speech_features import SpeechFeatures

TritonPythonModel = python_step(SpeechFeatures)
