from convai.backends.runtime.adapter import python_step
from convai.backends.steps.moonshine import Moonshine

TritonPythonModel = python_step(Moonshine)
