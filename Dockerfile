# One image for all Python services of docker-compose.yml: Dagster, MLflow, Spark (its Java included), torch.
FROM python:3.11.13-slim-bookworm

# Java for Spark; nginx for the proxy with the log-in; libgomp1 for LightGBM and DGL, libexpat1 for rasterio.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends openjdk-17-jre-headless nginx-light libgomp1 libexpat1 \
    && rm -rf /var/lib/apt/lists/*

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1 \
    DAGSTER_DISABLE_TELEMETRY=1

WORKDIR /opt/mora
COPY pyproject.toml constraints.txt README.md ./

# Dependencies first: they stay in the build cache while only our code changes.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN mkdir mora_pipeline spark_jobs \
    && touch mora_pipeline/__init__.py spark_jobs/__init__.py \
    && grep -E '^(torch|torchvision)==' constraints.txt > torch.txt \
    && pip install --index-url "$TORCH_INDEX" --requirement torch.txt \
    && pip install --constraint constraints.txt --editable . \
    && rm torch.txt

COPY mora_pipeline mora_pipeline
COPY spark_jobs spark_jobs
COPY dagster.yaml workspace.yaml ./
COPY deploy/dagster.yaml deploy/workspace.yaml /opt/dagster/

# Named volumes take over the owner of the folders they are mounted on.
RUN useradd --uid 10001 --create-home mora \
    && mkdir -p /data/mora /data/mlflow /data/regions \
    && chown -R mora:mora /data /opt/dagster
USER 10001:10001
ENV HOME=/home/mora
WORKDIR /home/mora
# Spark's Java classes are kept in the user's cache: every run starts some seconds sooner.
RUN python -m spark_jobs.session 2>/dev/null || true
