# Testudo in a container, for a CPU (the default target) or an NVIDIA GPU:
#
#   docker build -t testudo .
#   docker build -t testudo:cuda --target cuda .
#   docker run --init -p 127.0.0.1:7860:7860 -v testudo:/data testudo
#
# compose.yaml does the same. Everything that the studio reads or writes is below /data: voices,
# results, training, models, state and settings.yaml. `.ci/docker-steps` runs these steps without
# Docker; a RUN step therefore names paths by variables, and commands that change the system
# (apt-get, groupadd, useradd, chown) have RUN steps of their own.
#
# Build arguments:
#   PYTHON       version of Python
#   TORCH_INDEX  package index of another torch build: the address that PyTorch's "Get Started" page
#                shows after --index-url. The default build computes on CPUs and on NVIDIA GPUs, and
#                takes several gigabytes; the CPU build is much smaller.
#   EXTRAS       not empty: also install requirements-extra.txt
#   UID, GID     the user that runs the studio; equal to the owner of mounted folders

ARG PYTHON=3.12

FROM python:${PYTHON}-slim-bookworm AS base
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ffmpeg \
    && rm -rf /var/lib/apt/lists/*
ENV VIRTUAL_ENV=/opt/venv
ENV PATH=/opt/venv/bin:$PATH
ENV PYTHONUNBUFFERED=1
WORKDIR /app

FROM base AS packages
ARG TORCH_INDEX=
ARG EXTRAS=
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
ENV PIP_NO_CACHE_DIR=1
RUN python -m venv "$VIRTUAL_ENV"
COPY requirements.txt requirements-extra.txt ./
RUN if [ -n "$TORCH_INDEX" ]; then \
        pip install --index-url "$TORCH_INDEX" $(grep -E '^torch(audio)?==' requirements.txt); \
    fi
RUN pip install -r requirements.txt
RUN if [ -n "$EXTRAS" ]; then pip install -r requirements-extra.txt; fi
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip install --no-deps --editable .

FROM base AS runtime
ARG UID=1000
ARG GID=1000
ENV TESTUDO_ROOT=/data
RUN groupadd --gid "$GID" testudo && useradd --uid "$UID" --gid "$GID" --create-home testudo
RUN mkdir -p "$TESTUDO_ROOT/voices" "$TESTUDO_ROOT/results" "$TESTUDO_ROOT/training" \
    "$TESTUDO_ROOT/models" "$TESTUDO_ROOT/state"
RUN chown -R testudo:testudo "$TESTUDO_ROOT"
COPY --from=packages /opt/venv /opt/venv
COPY --from=packages /app /app
COPY app.py ./
COPY --chown=testudo:testudo voices /data/voices
COPY --chown=testudo:testudo models/starter /data/models/starter
COPY --chown=testudo:testudo models/starter-sv2tts /data/models/starter-sv2tts
USER testudo
VOLUME ["/data"]
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=10s --start-period=2m \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/api/health', timeout=5)"]
CMD ["python", "app.py", "--listen", "0.0.0.0:7860", "--no-browser"]

# Needs the NVIDIA Container Toolkit on the host; docker run --gpus all
FROM runtime AS cuda
ENV NVIDIA_VISIBLE_DEVICES=all
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility

FROM runtime AS cpu
