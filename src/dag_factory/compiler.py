"""The compiler: from a file of the DAGs folder to a :class:`~dag_factory.compiled.CompiledManifest`, in visible steps.

Read, recognise, inherit, check against the schema, resolve for each environment, lint, plan, decompose into primitives. Problems of
a step are collected; the next step that needs a sound input raises them all.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from airflow_dcp_provider.model.errors import ManifestError, Position, Problem, UsageError
from airflow_dcp_provider.model.json_ready import json_ready
from airflow_dcp_provider.model.team_folders import allowed_teams
from dag_factory.compiled import CompiledFolder, CompiledManifest, clashes, compile_manifest, faults_of
from dag_factory.manifest.defaults import read_defaults
from dag_factory.manifest.discovery import discover
from dag_factory.manifest.files import FolderFiles, absolute, check_file_name
from dag_factory.manifest.layers import (
    ENVIRONMENTS,
    Layer,
    for_environment,
    layer,
    may_lack_something,
    merged_base,
    named_environments,
)
from dag_factory.manifest.mending import NOWHERE
from dag_factory.manifest.node import Node
from dag_factory.manifest.problems import Problems, hint_for
from dag_factory.manifest.recognition import HEAD_BYTES, rough_fields, rough_text, top_fields, unknown_kind
from dag_factory.manifest.regular_files import read_beginning
from dag_factory.manifest.resolved import ResolvedManifest
from dag_factory.manifest.schema_check import SchemaChecker
from dag_factory.manifest.settings import CompileSettings
from dag_factory.manifest.yaml_reader import read_yaml
from dag_factory.plugins.base import Plugin
from dag_factory.plugins.job_places import job_places
from dag_factory.plugins.plan import LogicalPlan
from dag_factory.plugins.registry import Registry, load_registry
from dag_factory.primitives.model import AirflowDag, ContinuousJob, CoreEtlJob, IcebergTable, Primitive
from dag_factory.storable import asset_faults, dag_faults

#: So many of a DAG's faults are reported at once.
_MOST_FAULTS = 20


def compile_one(
    path: Path, root: Path, environments: Sequence[str], settings: CompileSettings, files: FolderFiles | None = None
) -> CompiledManifest | None:
    """See :func:`dag_factory.compiled.compile_manifest`."""
    # Without `..`, but not resolved: a manifest's own path counts, also where it is reached through a link.
    path, root = absolute(path), absolute(root)
    if not path.is_relative_to(root):
        hint = "name the DAGs folder that the manifest is in, in the same way as the manifest"
        raise UsageError(f"{path} is not below the folder {root}", hint=hint)
    files = files or FolderFiles(root, settings)
    recognised = _recognise(path, files, load_registry())
    if recognised is None:
        return None
    plugin, node = recognised
    problems = Problems(files.texts)
    layers = _layers(path, plugin, node, files, problems)
    known = not problems.errors
    base = merged_base(layers, problems)
    sound = known and _check_schema(plugin, base, layers, problems)
    if not known:
        # Nothing can be said to be missing.
        _checker(plugin).check_values(node, problems)
    merging = Problems(files.texts)
    variants = _variants(base, layers, environments, settings, merging)
    # What an override removes in vain may be there under a name that violates the schema, which also says what lacks a name.
    problems.extend(each for each in merging.sorted() if sound or each.code not in {"DCP120", "DCP122"})
    found = _resolve(plugin, variants, files.name_of(path), files, problems, sound=sound)
    problems.raise_errors()
    manifest = _assemble(plugin, found, _wanted(environments, settings), problems.warnings)
    _check_dag(manifest)
    _check_teams(manifest, [resolved for resolved, _ in found], settings)
    return manifest


#: Where manifests name their team; what is first there counts.
_TEAM_FIELDS = (("metadata", "team"), ("metadata", "technical_owner"))


def _check_teams(manifest: CompiledManifest, variants: Sequence[ResolvedManifest], settings: CompileSettings) -> None:
    """Refuse a manifest that names, in any environment, a team that its folder is not bound to.

    :raises ManifestError: DCP189.
    """
    allowed = allowed_teams(settings.team_folders, manifest.path)
    if allowed is None:
        return
    problems = Problems(variants[0].sources)
    named = {job.job.team: None for job in manifest.jobs.values()}
    places: dict[str, Position] = {}
    for variant in variants:
        node = next((node for field in _TEAM_FIELDS if (node := variant.get(*field)) is not None), None)
        if node is not None and node.text not in places:
            named.setdefault(node.text)
            places[node.text] = node.position
    for team in named:
        if team not in allowed:
            text = f"the team `{team}` is not one that manifests of this folder run for"
            hint = f"write one of {', '.join(f'`{each}`' for each in allowed)}" if allowed else "put it into its team's folder"
            problems.add("DCP189", text, places.get(team, Position(manifest.path, 1, 1)), f"{hint}; [dcp] team_folders says so")
    problems.raise_errors()


def _check_dag(manifest: CompiledManifest) -> None:
    """Refuse a DAG that the columns of Airflow's database cannot hold.

    :raises ManifestError: DCP185.
    """
    uris = {sink.asset_uri for job in manifest.jobs.values() for sink in job.job.core_etl.job.sinks}
    texts = [*dag_faults(json_ready(manifest.dag)), *asset_faults(sorted(uris))]
    if texts:
        where = Position(manifest.path, 1, 1)
        hint = "Airflow keeps these values in columns of its database; make them shorter or smaller"
        problems = [
            Problem("DCP185", f"Airflow's database cannot keep the DAG: {text}", where, hint) for text in texts[:_MOST_FAULTS]
        ]
        raise ManifestError(problems)


def resolve_one(path: Path, root: Path, environment: str, settings: CompileSettings) -> ResolvedManifest | None:
    """Return one manifest merged and resolved for an environment, every value with its place; None for foreign YAML.

    :raises ManifestError: when it cannot be read or merged; whether it makes sense is :func:`compile_one`'s to say.
    """
    with faults_of(path, root):
        return _resolved(path, root, environment, settings)


def _resolved(path: Path, root: Path, environment: str, settings: CompileSettings) -> ResolvedManifest | None:
    # Without `..`, but not resolved: a manifest's own path counts, also where it is reached through a link.
    path, root = absolute(path), absolute(root)
    if not path.is_relative_to(root):
        hint = "name the DAGs folder that the manifest is in, in the same way as the manifest"
        raise UsageError(f"{path} is not below the folder {root}", hint=hint)
    files = FolderFiles(root, settings)
    recognised = _recognise(path, files, load_registry())
    if recognised is None:
        return None
    plugin, node = recognised
    problems = Problems(files.texts)
    layers = _layers(path, plugin, node, files, problems)
    found = for_environment(merged_base(layers, problems), layers, environment, problems)
    problems.raise_errors()
    return ResolvedManifest(found, environment, files.name_of(path), settings, files)


def compile_all(root: Path, environments: Sequence[str], settings: CompileSettings) -> CompiledFolder:
    """See :func:`dag_factory.compiled.compile_folder`."""
    found: list[CompiledManifest] = []
    errors: dict[str, ManifestError] = {}
    names = FolderFiles(root, settings)
    for path in discover(root):
        try:
            manifest = compile_manifest(path, root, environments, settings)
        except ManifestError as error:
            errors[names.name_of(path)] = error
        else:
            found += [manifest] if manifest else []
    clashing = clashes(found)
    usable = tuple(manifest for manifest in found if manifest.path not in clashing)
    return CompiledFolder(usable, dict(sorted({**errors, **clashing}.items())), load_registry().faults)


def _recognise(path: Path, files: FolderFiles, registry: Registry) -> tuple[Plugin, Node] | None:
    """Return the manifest and its plugin, or None for foreign YAML.

    :raises ManifestError: when it is a manifest and cannot be read.
    """
    name = files.name_of(path)
    unreadable: ManifestError | None = None
    try:
        text = files.read(path)
    except ManifestError as error:
        # A file that is too large or not UTF-8 may still show what it is; one that cannot be opened is reported as it is.
        text, unreadable = _beginning(path, error), error
    rough = rough_fields(text)
    if rough and not _is_ours(rough, registry, files.settings):
        return None
    if unreadable is not None:
        # What is too large to be read and no text either is nothing that somebody keeps here on purpose.
        if rough or (unreadable.code == "DCP102" and "\0" in text):
            raise unreadable
        return None
    try:
        node = read_yaml(text, name, files.settings)
    except ManifestError:
        if not rough:
            return None
        raise
    fields = top_fields(node) if node else {}
    if node is None or not _is_ours(fields, registry, files.settings):
        return None
    check_file_name(path, name)
    _refuse_outside(path, name, files)
    return _plugin_of(node, fields, registry, name, files), node


def _beginning(path: Path, error: ManifestError) -> str:
    if error.code == "DCP101":
        raise error
    try:
        beginning = read_beginning(path, HEAD_BYTES)
    except OSError:
        # It was there a moment ago.
        raise error from None
    return rough_text(beginning)


def _is_ours(fields: Mapping[str, Any], registry: Registry, settings: CompileSettings) -> bool:
    return bool(registry.matching(fields)) or bool(unknown_kind(fields, settings.api_group_hosts))


def _refuse_outside(path: Path, name: str, files: FolderFiles) -> None:
    if not files.is_inside(path):
        hint = "copy the manifest into the folder, or put its folder into the bundle"
        raise ManifestError(
            [Problem("DCP108", f"`{name}` is a link that leads out of the DAGs folder", Position(name, 1, 1), hint)]
        )


def _plugin_of(node: Node, fields: Mapping[str, Any], registry: Registry, name: str, files: FolderFiles) -> Plugin:
    plugins = registry.matching(fields)
    if len(plugins) == 1:
        return plugins[0]
    problems = Problems(files.texts)
    if plugins:
        names = " and ".join(plugin.get_manifest_type() for plugin in plugins)
        problems.add("DCP183", f"the plugins {names} both claim this manifest", Position(name, 1, 1), "uninstall one of them")
    else:
        kinds = list(registry.by_kind())
        kind = node.fields["kind"]
        problems.add(
            "DCP114", f"there is no plugin for the kind `{kind.text}`", kind.position, hint_for(kind.text, kinds, "there are")
        )
    raise ManifestError(problems.sorted())


def _layers(path: Path, plugin: Plugin, node: Node, files: FolderFiles, problems: Problems) -> tuple[Layer, ...]:
    sections = read_defaults(path, plugin.kind, list(load_registry().by_kind()), files, problems)
    for section in sections:
        _checker(plugin).check_values(section, problems)
    return tuple(layer(each, problems) for each in (*sections, node))


@functools.cache
def _checker_of(plugin: type[Plugin]) -> SchemaChecker:
    return SchemaChecker(plugin().schema())


def _checker(plugin: Plugin) -> SchemaChecker:
    # Making a schema ready costs far more than using it.
    return _checker_of(type(plugin))


def _check_schema(plugin: Plugin, base: Node, layers: Sequence[Layer], problems: Problems) -> bool:
    """Check the manifest with what it inherits, and its own overrides as they stand."""
    own = layers[-1]
    whole = base
    if overrides := own.whole.get(*own.holder, ENVIRONMENTS):
        whole = _with(base, (*own.holder, ENVIRONMENTS), overrides)
    return _checker(plugin).check(whole, problems)


def _with(node: Node, path: Sequence[str], value: Node) -> Node:
    below = _with(node.fields[path[0]], path[1:], value) if len(path) > 1 else value
    return replace(node, value={**node.fields, path[0]: below})


@dataclass(frozen=True)
class _Variant:
    """One distinct resolution of a manifest.

    :param environment: an environment that it is for.
    :param compiled: every environment of the deployment that it is for.
    :param may_lack: whether overrides may have left it incomplete.
    """

    root: Node
    environment: str
    compiled: tuple[str, ...]
    may_lack: bool


def _wanted(environments: Sequence[str], settings: CompileSettings) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*environments, settings.deployment_environment)))


def _variants(
    base: Node, layers: Sequence[Layer], environments: Sequence[str], settings: CompileSettings, problems: Problems
) -> tuple[_Variant, ...]:
    """Return the distinct resolutions: of the deployment's environments, and of all others that the manifest has overrides for."""
    wanted = _wanted(environments, settings)
    plain = tuple(name for name in wanted if for_environment(base, layers, name, Problems()) is base)
    found = [_Variant(base, plain[0] if plain else "", plain, may_lack=False)]
    others = [name for name in dict.fromkeys((*wanted, *named_environments(layers))) if name not in plain]
    for name in others:
        root = for_environment(base, layers, name, problems)
        found.append(_Variant(root, name, (name,) if name in wanted else (), may_lack_something(layers, name)))
    return tuple(found)


def _resolve(
    plugin: Plugin, variants: Sequence[_Variant], name: str, files: FolderFiles, problems: Problems, *, sound: bool
) -> list[tuple[ResolvedManifest, _Variant]]:
    """Check and lint every variant; return them as plugins see them.

    :param sound: whether the manifest and its overrides satisfy the schema as they stand.
    """
    found = []
    checker = _checker(plugin)
    base = variants[0].root
    for variant in variants:
        resolved = ResolvedManifest(variant.root, variant.environment, name, files.settings, files)
        is_base = variant is variants[0]
        if sound and (is_base or checker.check_merged(variant.root, problems, base=base, may_lack=variant.may_lack)):
            problems.extend(plugin.lint(resolved))
        elif mended := checker.mended(variant.root):
            rest = plugin.lint(replace(resolved, root=mended, mended=True))
            problems.extend(each for each in rest if each.position is None or each.position.file != NOWHERE)
        found.append((resolved, variant))
    return found


def _assemble(
    plugin: Plugin, found: Sequence[tuple[ResolvedManifest, _Variant]], wanted: Sequence[str], warnings: tuple[Problem, ...]
) -> CompiledManifest:
    read: dict[str, LogicalPlan] = {}
    places: dict[str, dict[str, tuple[str, int, int]]] = {}
    for manifest, variant in found:
        if variant.compiled:
            plan = plugin.parse_manifest(manifest)
            # What a template of each environment says may differ; all else is read once for those that share a variant.
            differs = len(variant.compiled) > 1 and any(map(_may_ask_for_environment, manifest.sources.values()))
            for environment in variant.compiled:
                own = plugin.parse_manifest(replace(manifest, environment=environment)) if differs else plan
                read[environment] = replace(own, environment=environment)
            places |= dict.fromkeys(variant.compiled, job_places(manifest))
    plans = {environment: read[environment] for environment in wanted}
    parts = {environment: plugin.primitives(plan) for environment, plan in plans.items()}
    files, name = found[0][0].files, found[0][0].path
    deployed = files.settings.deployment_environment
    return CompiledManifest(
        manifest_id=plans[deployed].id,
        kind=plugin.kind,
        plugin=plugin.get_manifest_type(),
        path=name,
        text=files.texts[name],
        dag=next(part for part in parts[deployed] if isinstance(part, AirflowDag)),
        jobs={each: _job(primitives, places[each]) for each, primitives in parts.items()},
        tables={each: tuple(part for part in primitives if isinstance(part, IcebergTable)) for each, primitives in parts.items()},
        plans=plans,
        files=tuple(sorted(files.texts)),
        absent=tuple(sorted(set(files.absent))),
        warnings=warnings,
    )


def _may_ask_for_environment(text: str) -> bool:
    """Whether a template in ``text`` may choose by the environment."""
    return "environment" in text and ("{{" in text or "{%" in text)


def _job(parts: Iterable[Primitive], places: Mapping[str, tuple[str, int, int]]) -> CoreEtlJob:
    found = next(part for part in parts if isinstance(part, CoreEtlJob | ContinuousJob))
    # A streaming job travels the same way; the Spark Runner refuses it in one clear sentence.
    return CoreEtlJob(found.job, found.fingerprint, places)
