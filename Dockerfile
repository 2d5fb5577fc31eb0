# The monitor, its locked dependencies and nothing else; run it with a read-only root file system:
#   docker run --read-only --tmpfs /tmp --cap-drop ALL -v monitor:/data -p 127.0.0.1:9464:9464 -e LINKED_API_TOKEN IMAGE

ARG BASE=python:3.13-slim
FROM ${BASE} AS build
WORKDIR /build
COPY requirements.lock requirements-build.lock pyproject.toml README.md LICENSE ./
COPY deploy/install deploy/sbom.py ./deploy/
COPY deploy/container/trim.py ./deploy/container/
COPY monitor ./monitor

# Read-only root file systems can't cache bytecode, so it is made here; by content, as the files' times say nothing.
# (To pip, 0 means that nothing is compiled.)
RUN PYTHON=python PIP_NO_COMPILE=0 deploy/install /opt/linkedapi-monitor \
    && python deploy/container/trim.py /opt/linkedapi-monitor \
    && python -m compileall -q --invalidation-mode unchecked-hash /opt/linkedapi-monitor/lib


FROM ${BASE}
# Nothing is ever installed into it. Platforms that choose a user id of their own run it in group 0, which may therefore
# write the state.
RUN find / -xdev \( -name pip -o -name 'pip-*.dist-info' -o -name ensurepip \) -path '*/python3*' -prune -exec rm -r {} + \
    && rm -f /usr/local/bin/pip* \
    && useradd --uid 10001 --user-group --home-dir /data --no-create-home --shell /usr/sbin/nologin monitor \
    && install -d -o monitor -g root -m 0770 /data
COPY --from=build /opt/linkedapi-monitor /opt/linkedapi-monitor

ENV PATH=/opt/linkedapi-monitor/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LINKEDAPI_MONITOR_DEFAULT_STORAGE_URL=sqlite:////data/monitor.db \
    LINKEDAPI_MONITOR_DEFAULT_LISTEN=[::]:9464
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 CMD ["linkedapi-monitor", "healthcheck"]
ENTRYPOINT ["linkedapi-monitor"]
CMD ["run"]

ARG BASE
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="linkedapi-monitor" \
      org.opencontainers.image.description="Watches the LinkedIn accounts behind Linked API and tells the right people when one stops working" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.base.name="$BASE"
