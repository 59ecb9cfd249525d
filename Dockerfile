# The GPU server: NVIDIA's Triton with the Python steps installed. Networks come in through the model repository.
FROM nvcr.io/nvidia/tritonserver:24.10-py3

WORKDIR /opt/convai
COPY pyproject.toml README.md LICENSE ./
COPY convai convai
COPY backends backends
COPY benchmarks benchmarks
COPY client client
COPY generator generator
COPY networks networks
COPY pipeline pipeline
COPY weights weights
RUN pip install --no-cache-dir .

EXPOSE 8000 8001 8002
# A question asked and answered is the one check that also notices a step whose process has died.
HEALTHCHECK --interval=30s --timeout=20s --start-period=300s --retries=3 \
    CMD ["convai", "ask", "client/examples/question.wav", "--context", "client/examples/context.txt"]
ENTRYPOINT ["convai", "serve", "--host", "0.0.0.0", "--model-repository", "/models"]
CMD ["--profile", "gpu"]
