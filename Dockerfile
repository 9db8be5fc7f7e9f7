# docker build -t pantau .
# docker run -d --read-only --tmpfs /tmp -v pantau:/var/lib/pantau -v /etc/pantau:/etc/pantau:ro -p 127.0.0.1:8080:8080 pantau
# EXTRAS: "media" reads pictures and documents, "postgres" is for several machines; their pins are in requirements-dev.lock.
ARG PYTHON=3.12
FROM docker.io/library/python:${PYTHON}-slim AS build
ARG EXTRAS=""
WORKDIR /src
COPY requirements.lock requirements-dev.lock pyproject.toml README.md LICENSE ./
RUN python -m venv /opt/pantau \
 && /opt/pantau/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
COPY monitor monitor
COPY connectors connectors
COPY alerts alerts
COPY config config
RUN /opt/pantau/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation . \
 && if [ -n "$EXTRAS" ]; then \
      sed 's/ *\\$//; /^ *--hash/d' requirements-dev.lock > /tmp/pins.txt \
      && /opt/pantau/bin/pip install --no-cache-dir --disable-pip-version-check -c /tmp/pins.txt ".[$EXTRAS]"; \
    fi

FROM docker.io/library/python:${PYTHON}-slim
ARG EXTRAS=""
# What OpenCV, which finds the lines in pictures, links to.
RUN case "$EXTRAS" in *media*) apt-get update && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
 && rm -rf /var/lib/apt/lists/* ;; esac
RUN useradd --uid 10001 --shell /usr/sbin/nologin --home-dir /var/lib/pantau --create-home pantau
COPY --from=build /opt/pantau /opt/pantau
ENV PATH=/opt/pantau/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 MPLCONFIGDIR=/tmp/matplotlib \
    PANTAU_CONFIG=/etc/pantau PANTAU_WEB__LISTEN=0.0.0.0:8080 \
    PANTAU_DATABASE__URL=sqlite:////var/lib/pantau/pantau.db PANTAU_MAIL__FOLDER=/var/lib/pantau/mail
USER pantau
VOLUME /var/lib/pantau
EXPOSE 8080
STOPSIGNAL SIGTERM
# Progress, not mere presence: /healthz fails when one of the daemon's ticks has got nowhere for a quarter of an hour.
HEALTHCHECK --interval=60s --timeout=10s --start-period=60s CMD ["pantau", "health"]
ENTRYPOINT ["pantau"]
CMD ["run"]
