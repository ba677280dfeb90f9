#!/bin/bash
# Builds every image of the cluster and saves it as FOLDER/NAME.tar, those that are not there yet:
#   build.sh FOLDER PROGRAMS PROJECT
# No registry is needed: what the project's Dockerfile builds upon is made from Debian's packages and from Spark's Python packages, under
# the names of the official images.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1 programs=$2 project=$3
mkdir -p "$out"
SPARK=3.5.7 OPERATOR_SPARK=4.0.4 OPERATOR=2.5.2
DEBIAN=http://deb.debian.org/debian
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=overlay
storage=(--root "$out/storage" --runroot "$out/storage.run")
buildah() { command buildah "${storage[@]}" "$@"; }
known() { buildah images --quiet "$1" >/dev/null 2>&1; }
save() { # NAME IMAGE
  [ -e "$out/$1.tar" ] && return
  echo "saving $2" >&2
  buildah push --quiet "$2" "docker-archive:$out/$1.part:$2" && mv "$out/$1.part" "$out/$1.tar"
}
# make IMAGE BASE: an image by the commands of the standard input, run in the container; further arguments are given to `buildah config`.
make() {
  local image=$1 base=$2 container
  shift 2
  known "$image" && return
  echo "making $image" >&2
  container=$(buildah from --pull-never "$base")
  prepare "$container"
  buildah run --user root --network host "$container" -- sh -eu
  buildah config "$@" "$container"
  buildah commit --quiet --rm "$container" "$image" >/dev/null
}
prepare() { :; }
copy() { buildah copy --quiet "$@" >/dev/null; }

# Debian, with the certificates that this machine trusts: a package registry may be behind a proxy that has its own.
base=localhost/debian:bookworm
if ! known $base; then
  [ -e "$out/rootfs/etc/debian_version" ] || debootstrap --variant=minbase --include=ca-certificates bookworm "$out/rootfs" $DEBIAN
  container=$(buildah from scratch)
  copy "$container" "$out/rootfs" /
  if compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
    copy "$container" /usr/local/share/ca-certificates /usr/local/share/ca-certificates
    buildah run "$container" -- update-ca-certificates >/dev/null
  fi
  buildah config --cmd /bin/bash "$container"
  buildah commit --quiet --rm "$container" $base >/dev/null
fi

java=docker.io/library/eclipse-temurin:17-jre-jammy
make $java $base --env JAVA_HOME=/opt/java/openjdk --env 'PATH=/opt/java/openjdk/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' <<'RUN'
apt-get update -qq
apt-get install -qq -y --no-install-recommends ca-certificates-java openjdk-17-jre-headless >/dev/null
rm -rf /var/lib/apt/lists/*
mkdir -p /opt/java
ln -s /usr/lib/jvm/java-17-openjdk-amd64 /opt/java/openjdk
RUN

# Not every mirror of Maven Central has the Unity Catalog's connector; nothing here uses it.
maven=docker.io/library/maven:3.9-eclipse-temurin-17
make $maven $java <<'RUN'
apt-get update -qq
apt-get install -qq -y --no-install-recommends maven python3 >/dev/null
rm -rf /var/lib/apt/lists/*
for name in unitycatalog-spark_2.12 unitycatalog-client; do
  folder=/root/.m2/repository/io/unitycatalog/$name/0.2.0
  mkdir -p $folder
  python3 -c "import sys, zipfile; zipfile.ZipFile(sys.argv[1], 'w').writestr('META-INF/MANIFEST.MF', 'Manifest-Version: 1.0\n')" $folder/$name-0.2.0.jar
done
RUN

# spark_folder VERSION: unpacks Spark from its Python package and prints where it is.
spark_folder() {
  local folder=$out/spark-$1
  if [ ! -e "$folder/jars" ]; then
    (cd "$out" && pip download --quiet --no-deps --no-binary :all: "pyspark==$1" -d .)
    mkdir -p "$folder.part"
    tar -xzf "$out/pyspark-$1.tar.gz" -C "$folder.part" --strip-components=1
    mkdir -p "$folder" "$folder/python"
    mv "$folder.part"/deps/{bin,sbin} "$folder/"
    mv "$folder.part"/{pyspark,lib} "$folder/python/"
    mv "$folder.part/deps/jars" "$folder/jars"
    rm -rf "$folder.part"
  fi
  echo "$folder"
}

# spark_image IMAGE VERSION
spark_image() {
  local folder
  known "$1" && return
  folder=$(spark_folder "$2")
  prepare() { copy "$1" "$folder" /opt/spark; copy "$1" "$here/spark" /opt; }
  make "$1" $java --env SPARK_HOME=/opt/spark --workingdir /opt/spark/work-dir --user spark --entrypoint '["/opt/entrypoint.sh"]' <<'RUN'
apt-get update -qq
apt-get install -qq -y --no-install-recommends libnss-wrapper procps python3 tini >/dev/null
rm -rf /var/lib/apt/lists/*
groupadd --system --gid 185 spark
useradd --system --uid 185 --gid spark spark
chmod -R a+rX /opt/spark
mkdir -p /opt/spark/work-dir
chown -R spark:spark /opt/spark/work-dir
chmod g+w /opt/spark/work-dir
RUN
  prepare() { :; }
}
spark=docker.io/library/spark:$SPARK-scala2.12-java17-python3-ubuntu
spark_image $spark $SPARK

# REBUILD=1 makes the images that hold the project again.
if [ -n "${REBUILD:-}" ]; then
  for name in spark catalog; do rm -f "$out/$name.tar"; done
  buildah rmi --force localhost/spark-platform/3.5-oss-coreetl:$SPARK localhost/airflow-dcp-provider:e2e >/dev/null 2>&1 || true
fi

# The project's own image, by its own Dockerfile. What it builds upon was made above and is in no registry.
ours=localhost/spark-platform/3.5-oss-coreetl:$SPARK
if ! known $ours; then
  echo "making $ours" >&2
  buildah build --quiet --pull-never --network host --layers -f "$project/deploy/Dockerfile" -t $ours \
    --build-arg REQUIRE_DIGESTS=no --build-arg SPARK_VERSION=$SPARK --build-arg SPARK_IMAGE=$spark \
    --build-arg MAVEN_IMAGE=$maven --build-arg BASE_IMAGE=$java "$project"
fi

# Python with the project, as an image of Airflow's workers has it.
catalog=localhost/airflow-dcp-provider:e2e
if ! known $catalog; then
  rm -rf "$out/wheels" "$out/site-packages" && mkdir "$out/wheels"
  uv=$project/.venv/bin/uv
  "$uv" build --quiet --wheel --out-dir "$out/wheels" "$project"
  # Built for the image's Python, Debian's.
  "$uv" pip install --quiet --python "$project/.venv/bin/python" --python-version 3.11 --target "$out/site-packages" \
    --constraint "$project/locks/newest.txt" "$out"/wheels/*.whl
  prepare() { copy "$1" "$out/site-packages" /opt/airflow; }
  make $catalog $base --env PYTHONPATH=/opt/airflow --user 185 <<'RUN'
apt-get update -qq
apt-get install -qq -y --no-install-recommends python3 python-is-python3 >/dev/null
rm -rf /var/lib/apt/lists/*
RUN
  prepare() { :; }
fi

# The operator, as its own Dockerfile makes it.
operator=ghcr.io/kubeflow/spark-operator/controller:$OPERATOR
if ! known $operator; then
  spark_image localhost/spark:$OPERATOR_SPARK $OPERATOR_SPARK
  prepare() { copy "$1" "$programs/spark-operator" "$programs/operator-source/entrypoint.sh" /usr/bin/; }
  make $operator localhost/spark:$OPERATOR_SPARK --user 185:185 --entrypoint '["/usr/bin/entrypoint.sh"]' <<'RUN'
mkdir -p /etc/k8s-webhook-server/serving-certs /home/spark
chmod -R g+rw /etc/k8s-webhook-server/serving-certs
chown -R spark /etc/k8s-webhook-server/serving-certs /home/spark
chmod a+rx /usr/bin/entrypoint.sh
RUN
  prepare() { :; }
fi

# single NAME: an image with one static program alone.
single() {
  known "localhost/$1:1" && return
  local container
  container=$(buildah from scratch)
  copy "$container" "$programs/$1" "/$1"
  buildah config --entrypoint "[\"/$1\"]" "$container"
  buildah commit --quiet --rm "$container" "localhost/$1:1" >/dev/null
}
single pause
single coredns

save pause localhost/pause:1
save coredns localhost/coredns:1
save operator $operator
save spark $ours
save catalog $catalog
