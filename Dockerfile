# The GPU server: NVIDIA's Triton with the Python steps installed. Networks come in through the model repository.
FROM nvcr.io/nvidia/tritonserver:24.10-py3

# The container's own Python is 3.10. Its Triton is the very release of which nvidia-pytriton brings a stub for 3.11.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3.11-venv libpython3.11 \
    && rm -rf /var/lib/apt/lists/* \
    && python3.11 -m venv /opt/convai/.venv
ENV PATH=/opt/convai/.venv/bin:$PATH

WORKDIR /opt/convai
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY convai convai
COPY backends backends
COPY benchmarks benchmarks
COPY client client
COPY weights weights
COPY generator generator
COPY networks networks
COPY pipeline pipeline
RUN pip install --no-cache-dir --constraint constraints.txt '.[server]' nvidia-pytriton

EXPOSE 8000 8001 8002
# A question asked and answered is the one check that also notices a step whose process has died.
HEALTHCHECK --interval=30s --timeout=20s --start-period=300s --retries=3 \
    CMD ["convai", "ask", "client/examples/question.wav", "--context", "client/examples/context.txt"]
ENTRYPOINT ["convai", "serve", "--host", "0.0.0.0", "--model-repository", "/models"]
CMD ["--profile", "gpu"]
