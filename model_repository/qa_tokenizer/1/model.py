from convai.backends.runtime.adapter import python_step
from convai.backends.steps.qa_tokenizer import QaTokenizer

TritonPythonModel = python_step(QaTokenizer)
