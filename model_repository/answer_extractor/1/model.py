from convai.backends.runtime.adapter import python_step
from convai.backends.steps.answer_extractor import AnswerExtractor

TritonPythonModel = python_step(AnswerExtractor)
