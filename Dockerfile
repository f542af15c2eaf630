FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /punktual

COPY requirements.lock .
RUN pip install --require-hashes -r requirements.lock

COPY . .
# Otherwise every start of a process would compile everything that it imports.
RUN python -m compileall -q .
RUN useradd --system --home-dir /punktual punktual && mkdir -p var && chown punktual var
USER punktual

CMD ["python", "-m", "admin", "--help"]
