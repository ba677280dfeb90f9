"""What Airflow learns of the provider, checked by Airflow's own schema, providers manager and form service."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import airflow
import jsonschema
import pytest

from airflow_dcp_provider.hooks.dcp import DcpHook
from airflow_dcp_provider.hooks.environment_fields import FIELDS
from airflow_dcp_provider.provider_info import get_provider_info


def test_the_metadata_is_valid_by_airflows_schema() -> None:
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_every_module_and_class_that_it_names_is_there() -> None:
    info = get_provider_info()
    modules = [
        name for kind in ("operators", "sensors", "hooks", "triggers") for part in info[kind] for name in part["python-modules"]
    ]
    assert len(modules) == 11
    for name in modules:
        importlib.import_module(name)
    assets = info["asset-uris"][0]
    hook = info["connection-types"][0]["hook-class-name"]
    for path in (*info["extra-links"], hook, assets["handler"], assets["factory"], assets["to_openlineage_converter"]):
        module, name = path.rsplit(".", 1)
        assert callable(getattr(importlib.import_module(module), name))


def test_airflow_lists_the_provider_its_links_and_its_configuration() -> None:
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    assert "airflow-dcp-provider" in manager.providers
    assert "airflow_dcp_provider.links.execution.SparkUiLink" in manager.extra_links_class_names
    options = dict(manager.provider_configs)["airflow-dcp-provider"]["dcp"]["options"]
    assert (options["environment"]["default"], options["max_local_executions"]["default"]) == ("local", "2")


def test_the_form_has_every_field_and_hides_what_has_no_meaning() -> None:
    services = pytest.importorskip("airflow.api_fastapi.core_api.services.ui.connections")
    from airflow.providers_manager import ProvidersManager

    if not hasattr(ProvidersManager, "iter_connection_type_hook_ui_metadata"):
        pytest.skip("this Airflow reads forms from the hook's methods")
    found = {meta.connection_type: meta for meta in services.HookMetaService.hook_meta_data()}["dcp"]
    assert found.hook_name == "DCP environment"
    assert list(found.extra_fields) == list(FIELDS)
    assert found.extra_fields["backend"]["schema"]["enum"] == ["local", "kubeflow", "apache", None]
    assert found.extra_fields["catalogs"]["schema"]["title"] == "Catalogs"
    # The form shows a list of choices with its default, a list of objects as JSON, a list of texts with one a line.
    assert (found.extra_fields["backend"]["value"], found.extra_fields["image_policy"]["value"]) == ("local", "any")
    assert found.extra_fields["clusters"]["schema"]["items"] == {"type": "object"}
    assert "items" not in found.extra_fields["teams"]["schema"]
    assert found.standard_fields.host.hidden
    assert found.standard_fields.password.hidden


def test_older_airflow_gets_the_same_fields_from_the_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    """The widgets' packages are not installed with Airflow 3.3; these stand-ins only keep what they are given."""

    class Field:
        def __init__(self, label: str, **options: object) -> None:
            self.label, self.options = label, options

    class IntegerField(Field):
        pass

    for name, members in {
        "flask_appbuilder": {},
        "flask_appbuilder.fieldwidgets": {"BS3TextFieldWidget": object},
        "wtforms": {"StringField": Field, "IntegerField": IntegerField},
        "wtforms.validators": {"Optional": object},
    }.items():
        module = ModuleType(name)
        module.__dict__.update(members)
        monkeypatch.setitem(sys.modules, name, module)
    widgets = DcpHook.get_connection_form_widgets()
    assert list(widgets) == list(FIELDS)
    assert [name for name, widget in widgets.items() if isinstance(widget, IntegerField)] == [
        "ttl_seconds",
        "start_timeout_seconds",
        "live_logs",
    ]
    assert widgets["catalogs"].label == "Catalogs (JSON)"
    assert "password" in DcpHook.get_ui_field_behaviour()["hidden_fields"]


def test_without_the_widgets_packages_there_is_no_form_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wtforms", None)
    monkeypatch.setitem(sys.modules, "flask_appbuilder", None)
    monkeypatch.setitem(sys.modules, "flask_appbuilder.fieldwidgets", None)
    assert DcpHook.get_connection_form_widgets() == {}


def test_iceberg_assets_have_one_form() -> None:
    from airflow.sdk import Asset

    from airflow_dcp_provider.assets import convert_asset_to_openlineage, create_asset

    asset = create_asset(catalog="pedregal", database="derived_datasets", table="daily_orders")
    assert asset.uri == asset.name == "iceberg://pedregal/derived_datasets/daily_orders"
    assert Asset(name="a", uri="iceberg://pedregal/derived_datasets/daily_orders/").uri == asset.uri
    dataset = convert_asset_to_openlineage(asset, None)
    assert (dataset.namespace, dataset.name) == ("iceberg://pedregal", "derived_datasets.daily_orders")
