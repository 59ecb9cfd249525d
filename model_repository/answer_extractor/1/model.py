from convai.backends.adapter import python_step
from convai.backends.glue.answer_extractor import AnswerExtractor

TritonPythonModel = python_step(AnswerExtractor)
