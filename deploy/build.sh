#!/bin/sh
# Builds the image of deploy/Dockerfile from base images by their digests: deploy/build.sh IMAGE [options of `docker build`].
# Digests come from SPARK_IMAGE, MAVEN_IMAGE and BASE_IMAGE; what is not set is looked up by its tag, shown, and built from. Keep what
# is shown: with it, a later build is made from the same images. `make -s image-arguments SPARK=4.1` gives the other variables.
set -eu
[ $# -ge 1 ] || { echo "say which image to make: deploy/build.sh IMAGE [options of docker build]" >&2; exit 2; }
image=$1
shift
cd "$(dirname "$0")/.."

SPARK_VERSION=${SPARK_VERSION:-3.5.7}
SCALA_VERSION=${SCALA_VERSION:-2.12}
JAVA_VERSION=${JAVA_VERSION:-17}
MAVEN_VERSION=${MAVEN_VERSION:-3.9}

by_digest() {
  case "$1" in
    *@sha256:*) echo "$1"; return ;;
  esac
  digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$1")
  case "$digest" in
    sha256:*) echo "${1%:*}@$digest" ;;
    *) echo "no digest of $1 was found" >&2; exit 1 ;;
  esac
}

SPARK_IMAGE=$(by_digest "${SPARK_IMAGE:-spark:$SPARK_VERSION-scala$SCALA_VERSION-java$JAVA_VERSION-python3-ubuntu}")
MAVEN_IMAGE=$(by_digest "${MAVEN_IMAGE:-maven:$MAVEN_VERSION-eclipse-temurin-$JAVA_VERSION}")
BASE_IMAGE=$(by_digest "${BASE_IMAGE:-eclipse-temurin:$JAVA_VERSION-jre-jammy}")
# The versions of the connectors are the Dockerfile's own unless they are given.
for name in ICEBERG_SPARK ICEBERG_VERSION HADOOP_VERSION AWS_SDK UNITY_CATALOG_VERSION; do
  if value=$(printenv "$name"); then set -- --build-arg "$name=$value" "$@"; fi
done
printf 'SPARK_IMAGE=%s\nMAVEN_IMAGE=%s\nBASE_IMAGE=%s\n' "$SPARK_IMAGE" "$MAVEN_IMAGE" "$BASE_IMAGE"
exec docker build -f deploy/Dockerfile -t "$image" --build-arg SPARK_VERSION="$SPARK_VERSION" --build-arg SCALA_VERSION="$SCALA_VERSION" \
  --build-arg SPARK_IMAGE="$SPARK_IMAGE" --build-arg MAVEN_IMAGE="$MAVEN_IMAGE" --build-arg BASE_IMAGE="$BASE_IMAGE" "$@" .
