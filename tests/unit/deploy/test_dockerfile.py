"""The image's Dockerfile: the document's layers in their order, every version an argument, nobody's host, no root."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from dev.image import build_arguments

from airflow_dcp_provider.core_etl.bundle import build_zip
from airflow_dcp_provider.model.spark_versions import DEFAULT_SPARK_VERSION, SPARK_VERSIONS, SparkVersion
from airflow_dcp_provider.runner.backends.kubernetes.driver_files import IMAGE_MAIN

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
TEXT = (DEPLOY / "Dockerfile").read_text()
HADOLINT = Path(sys.executable).with_name("hadolint")


def test_the_linter_has_nothing_to_say() -> None:
    done = subprocess.run([HADOLINT, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


def test_the_documents_layers_are_there_in_their_order() -> None:
    titles = re.findall(r"^# Layer (\d): (.+)$", TEXT, re.MULTILINE)
    assert titles == [("1", "base"), ("2", "Spark"), ("3", "connectors"), ("4", "core_etl"), ("5", "observability")]
    last = TEXT[TEXT.index("# Layer 1") :]
    marks = ("FROM ${BASE_IMAGE}", "--from=spark-builder", "--from=connectors", "--from=core-etl", "fluent-bit.conf", "ENTRYPOINT")
    places = [last.index(mark) for mark in marks]
    assert places == sorted(places)


def test_every_version_is_a_build_argument() -> None:
    # A dotted number may stand where an argument gets its default, and nowhere else.
    code = [line for line in TEXT.splitlines() if not line.startswith(("#", "ARG "))]
    assert [line for line in code if re.search(r"\d+\.\d+", line)] == []
    assert "latest" not in "\n".join(code)


@pytest.mark.parametrize("row", SPARK_VERSIONS.values(), ids=lambda row: row.name)
def test_each_version_of_spark_is_a_set_of_arguments(row: SparkVersion) -> None:
    """The defaults are those of the default version; the documents' table has each row."""
    known = dict(re.findall(r"^ARG (\w+)=(\S+)$", TEXT, re.MULTILINE))
    arguments = build_arguments(row)
    assert set(arguments) <= set(known)
    if row.name == DEFAULT_SPARK_VERSION:
        assert {key: known[key] for key in arguments} == arguments
    page = (DEPLOY.parent / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    assert f"| {row.name} | `{' '.join(f'{key}={value}' for key, value in arguments.items())}` |" in page
    operating = (DEPLOY.parent / "docs" / "operating.md").read_text(encoding="utf-8")
    java = f"{row.javas[0]} ({' and '.join(map(str, row.javas[1:]))} work{'s' if len(row.javas) == 2 else ''})"
    assert f"| `{row.name}` | {row.pyspark}, Scala {row.scala} | {row.iceberg} | {java} |" in operating


@pytest.mark.parametrize(
    ("arguments", "jars"),
    [
        ({}, ("spark-connect_2.12:3.5.7", "unitycatalog-spark_2.12:0.2.0", "aws-java-sdk-bundle:1.12.262")),
        (build_arguments(SPARK_VERSIONS["4.1"]), ("awssdk:bundle:", "runtime-4.1_2.13:1.12.0")),
        ({"UNITY_CATALOG_VERSION": ""}, ("spark-connect_2.12:3.5.7",)),
    ],
)
def test_the_connectors_are_those_of_the_version(arguments: dict[str, str], jars: tuple[str, ...], tmp_path: Path) -> None:
    """The stage's own command, with a Maven that only says what it is asked for."""
    (command,) = re.findall(r"^RUN (unity=.*?)(?=\n\n)", TEXT, re.MULTILINE | re.DOTALL)
    maven = tmp_path / "mvn"
    maven.write_text('#!/bin/sh\necho "$@"\n')
    maven.chmod(0o755)
    variables = {**dict(re.findall(r"^ARG (\w+)=(\S+)$", TEXT, re.MULTILINE)), **arguments, "PATH": f"{tmp_path}:/bin:/usr/bin"}
    script = command.replace("\\\n", " ")
    done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, check=True, env=variables)
    for jar in jars:
        assert jar in done.stdout
    assert ("spark-connect" in done.stdout) == (variables["SPARK_VERSION"].startswith("3."))
    assert ("unitycatalog" in done.stdout) == bool(variables["UNITY_CATALOG_VERSION"])


def test_images_and_jars_name_no_host() -> None:
    names = re.findall(r"^FROM (\S+)", TEXT, re.MULTILINE)
    assert [name for name in names if "." in name.partition("/")[0].partition(":")[0]] == []
    assert "://" not in TEXT


def test_every_base_image_is_an_argument_without_a_default_that_works() -> None:
    bases = re.findall(r"^FROM (\S+)", TEXT, re.MULTILINE)
    assert bases == ["${SPARK_IMAGE}", "${MAVEN_IMAGE}", "spark-builder", "${BASE_IMAGE}"]
    for name in ("SPARK_IMAGE", "MAVEN_IMAGE", "BASE_IMAGE"):
        # No digest has these letters, and no image's name capitals: a builder stops at it and shows it.
        assert re.search(rf"^ARG {name}=give-{name}-as-\S+@sha256:DIGEST$", TEXT, re.MULTILINE)


DIGEST = "a" * 64


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({}, ""),
        ({"SPARK_IMAGE": "spark:3.5.7"}, "SPARK_IMAGE=spark:3.5.7 is no image by digest"),
        ({"MAVEN_IMAGE": "maven"}, "MAVEN_IMAGE=maven is no image by digest"),
        ({"BASE_IMAGE": ""}, "BASE_IMAGE= is no image by digest"),
        ({"BASE_IMAGE": "eclipse-temurin", "REQUIRE_DIGESTS": "no"}, ""),
        ({"SPARK_VERSION": "4.0.1"}, "SPARK_IMAGE is not Spark 4.0.1"),
    ],
)
def test_a_build_goes_on_with_digests_alone(tmp_path: Path, changes: dict[str, str], refused: str) -> None:
    (tmp_path / "jars").mkdir()
    (tmp_path / "jars" / "spark-core_2.12-3.5.7.jar").touch()
    (check,) = re.findall(r"^RUN (\[ \"\$\{REQUIRE_DIGESTS.*?[^\\])$", TEXT, re.MULTILINE | re.DOTALL)
    images = dict.fromkeys(("SPARK_IMAGE", "MAVEN_IMAGE", "BASE_IMAGE"), f"x@sha256:{DIGEST}")
    environment = {"PATH": os.environ["PATH"], "REQUIRE_DIGESTS": "yes", "SPARK_VERSION": "3.5.7", **images, **changes}
    script = check.replace("/opt/spark/jars", str(tmp_path / "jars"))
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, env=environment)
    assert (refused in done.stderr, done.returncode) == (True, 1 if refused else 0)
    assert bool(done.stderr) is bool(refused)


@pytest.mark.parametrize("given", ["", f"mirror.example.com/spark@sha256:{DIGEST}"])
def test_the_script_builds_from_digests(tmp_path: Path, given: str) -> None:
    docker = tmp_path / "docker"
    docker.write_text(
        '#!/bin/sh\nif [ "$1" = buildx ]; then echo "$6" >>"$ASKED"; echo "sha256:$DIGEST"; else printf "%s\\n" "$@"; fi\n'
    )
    docker.chmod(0o755)
    asked = tmp_path / "asked"
    asked.touch()
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "DIGEST": DIGEST, "ASKED": str(asked), "SPARK_IMAGE": given}
    command = [str(DEPLOY / "build.sh"), "registry.example.com/x:1", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=tmp_path)
    arguments = done.stdout.splitlines()
    spark = given or f"spark@sha256:{DIGEST}"
    assert f"SPARK_IMAGE={spark}" in arguments[:3]
    assert arguments.count(f"SPARK_IMAGE={spark}") == 2
    assert f"BASE_IMAGE=eclipse-temurin@sha256:{DIGEST}" in arguments[3:]
    assert arguments[-2:] == ["--quiet", "."]
    looked_up = asked.read_text().split()
    assert looked_up[-2:] == ["maven:3.9-eclipse-temurin-17", "eclipse-temurin:17-jre-jammy"]
    assert len(looked_up) == (2 if given else 3)


def test_the_script_hands_the_versions_on(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\nif [ "$1" = buildx ]; then echo sha256:{DIGEST}; else printf "%s\\n" "$@"; fi\n')
    docker.chmod(0o755)
    arguments = build_arguments(SPARK_VERSIONS["4.1"])
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **arguments}
    done = subprocess.run([str(DEPLOY / "build.sh"), "x"], capture_output=True, text=True, check=True, env=environment)
    assert {f"{key}={value}" for key, value in arguments.items()} <= set(done.stdout.splitlines())


def test_the_script_stops_where_no_digest_is_found(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho nothing\n")
    docker.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([str(DEPLOY / "build.sh"), "x"], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1
    assert "no digest of spark:" in done.stderr


def test_it_runs_as_sparks_user() -> None:
    assert re.findall(r"^USER (\S+)$", TEXT, re.MULTILINE) == ["185"]


def test_core_etl_is_where_an_application_starts_it(tmp_path: Path) -> None:
    folder = Path(IMAGE_MAIN).parent
    assert f"/tmp/dcp {folder}" in TEXT
    # As the image's stage does: with nothing but the package itself.
    code = "from pathlib import Path; from core_etl.bundle import build_zip; build_zip(Path('made.zip'))"
    assert code.replace("made.zip", "/tmp/dcp/core_etl.zip") in TEXT
    source = DEPLOY.parent / "src" / "airflow_dcp_provider" / "core_etl"
    (tmp_path / "core_etl").symlink_to(source)
    subprocess.run([sys.executable, "-S", "-c", code], cwd=tmp_path, check=True)
    assert (tmp_path / "made.zip").read_bytes() == build_zip(tmp_path / "other.zip").read_bytes()
    assert "core_etl/__main__.py" in zipfile.ZipFile(tmp_path / "made.zip").namelist()


def test_the_entrypoint_hands_over_to_sparks_own(tmp_path: Path) -> None:
    script = (DEPLOY / "entrypoint.sh").read_text()
    own = tmp_path / "spark-entrypoint.sh"
    own.write_text('#!/bin/sh\necho "$PYSPARK_PYTHON $PYSPARK_DRIVER_PYTHON $*"\n')
    own.chmod(0o755)
    assert "exec /opt/entrypoint.sh" in script
    started = script.replace("/opt/entrypoint.sh", str(own))
    done = subprocess.run(["sh", "-c", started, "sh", "driver", "a b"], capture_output=True, text=True, check=True, env={})
    assert done.stdout == "/usr/bin/python3 /usr/bin/python3 driver a b\n"
