from convai.backends.adapter import python_step
from convai.backends.glue.qa_tokenizer import QaTokenizer

TritonPythonModel = python_step(QaTokenizer)
