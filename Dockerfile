# syntax=docker/dockerfile:1

# The service as an image: docker build -t numora-bridge .
# Runs as an unprivileged user on a read-only root file system; /data is the only place it writes to.

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /opt/bridge
COPY requirements/ requirements/
RUN python -m pip install -r requirements/build.txt \
    && /opt/bridge/bin/python -m pip install -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY mappings/ mappings/
COPY connectors/ connectors/
COPY bridge/ bridge/
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/bridge/bin/python -m pip install --no-deps dist/*.whl \
    && /opt/bridge/bin/python -m pip uninstall --yes pip

FROM python:3.13-slim
LABEL org.opencontainers.image.title="numora-bridge" \
      org.opencontainers.image.description="Delivers reviewed Numora documents into Dynamics 365" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 bridge \
    && useradd --uid 10001 --gid bridge --no-create-home --home-dir /data --shell /usr/sbin/nologin bridge \
    && install -d -o bridge -g bridge -m 0750 /data
COPY --from=build /opt/bridge /opt/bridge
ENV PATH=/opt/bridge/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    NUMORA_BRIDGE_CONFIG=/config
WORKDIR /data
USER 10001:10001
VOLUME /data
EXPOSE 8484
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 CMD ["python", "-m", "bridge.healthcheck"]
ENTRYPOINT ["numora-bridge"]
CMD ["serve"]
