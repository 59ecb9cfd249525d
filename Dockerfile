# The GPU server: NVIDIA's Triton with the Python steps and the exporter. The networks come through the model repository.
# Never built; docs/nvidia.md has the build arguments of newer releases.
ARG BASE=nvcr.io/nvidia/tritonserver:24.10-py3
FROM ${BASE}

# The Python of 24.10 is 3.10, too old. Its Triton is the release for which nvidia-pytriton has a stub for 3.11. A newer
# release wants its own Python here, and no STUB, because it has one itself.
ARG PYTHON=3.11
ARG STUB=nvidia-pytriton
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python${PYTHON}-venv libpython${PYTHON} \
    && rm -rf /var/lib/apt/lists/* \
    && python${PYTHON} -m venv /opt/convai/.venv
ENV PATH=/opt/convai/.venv/bin:$PATH

# .gitignore keeps exports out of the package.
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE .gitignore ./
COPY convai convai
COPY model_repository model_repository
COPY weights weights
RUN pip install --no-cache-dir --constraint constraints.txt '.[server,export,talk]' ${STUB}

# Only the TensorRT that built a plan loads it. NVIDIA's images name theirs like 10.5.0.26+cuda12.6.
ARG TENSORRT=
RUN version="${TRT_VERSION%%+*}" cuda="${TRT_VERSION##*+cuda}" \
    && pip install --no-cache-dir "${TENSORRT:-tensorrt-cu${cuda%%.*}==${version%.*}.*}"
COPY convai/client/examples /opt/convai/client/examples

WORKDIR /opt/convai
EXPOSE 8001 8002 8080
# Only a spoken answer shows that no step's process has died. The start period covers --ready-timeout and the warm-up.
HEALTHCHECK --interval=30s --timeout=20s --start-period=2000s --retries=3 \
    CMD ["convai", "ask", "/opt/convai/client/examples/question.wav", "--context", "/opt/convai/client/examples/context.txt", "--out", "/tmp/health.wav"]
# Engines that are built at the first start take minutes.
ENTRYPOINT ["convai", "serve", "--host", "0.0.0.0", "--model-repository", "/models", "--ready-timeout", "1800"]
CMD ["--profile", "gpu"]
