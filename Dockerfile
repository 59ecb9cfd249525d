# The GPU server: NVIDIA's Triton with the Python steps installed. The networks come through the model repository.
FROM nvcr.io/nvidia/tritonserver:24.10-py3

# The container's own Python is 3.10. Its Triton is the release for which nvidia-pytriton has a stub for 3.11.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3.11-venv libpython3.11 \
    && rm -rf /var/lib/apt/lists/* \
    && python3.11 -m venv /opt/convai/.venv
ENV PATH=/opt/convai/.venv/bin:$PATH

# .gitignore keeps exports out of the package.
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE .gitignore ./
COPY convai convai
COPY model_repository model_repository
COPY weights weights
RUN pip install --no-cache-dir --constraint constraints.txt '.[server,talk]' nvidia-pytriton
COPY convai/client/examples /opt/convai/client/examples

WORKDIR /opt/convai
EXPOSE 8001 8002 8080
# A question is the only check that also notices a step whose process has died.
HEALTHCHECK --interval=30s --timeout=20s --start-period=300s --retries=3 \
    CMD ["convai", "ask", "/opt/convai/client/examples/question.wav", "--context", "/opt/convai/client/examples/context.txt"]
ENTRYPOINT ["convai", "serve", "--host", "0.0.0.0", "--model-repository", "/models"]
CMD ["--profile", "gpu"]
