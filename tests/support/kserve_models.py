"""JSON schemas of KServe's objects, from the models in its Python package; those of Kubernetes within come from ours.

The wheel is read, not installed: the package would bring pandas, aiohttp, and older versions of what we need.
"""

import ast
import os
import re
from pathlib import Path
from zipfile import ZipFile

import pytest

from support.places import ROOT

WHEELS = Path(os.environ.get("CONVAI_KSERVE", ROOT / "build" / "kserve"))
HOW = "pip download --no-deps --dest build/kserve kserve"
PLAIN = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "bool": {"type": "boolean"},
    "float": {"type": "number"},
    "object": {},
    "datetime": {"type": "string"},
}
OF_KUBERNETES = "https://kubernetes.io/api/_definitions.json#/$defs/io.k8s."
ELSEWHERE = {  # where Kubernetes keeps what it does not call api.core.v1
    "K8sIoApiAppsV1DeploymentStrategy": "api.apps.v1.DeploymentStrategy",
    "K8sIoApiAutoscalingV2HorizontalPodAutoscalerBehavior": "api.autoscaling.v2.HorizontalPodAutoscalerBehavior",
    "ResourceQuantity": "apimachinery.pkg.api.resource.Quantity",
    "V1ListMeta": "apimachinery.pkg.apis.meta.v1.ListMeta",
    "V1ObjectMeta": "apimachinery.pkg.apis.meta.v1.ObjectMeta",
    "V1Time": "apimachinery.pkg.apis.meta.v1.Time",
    "V1beta1MetricQuantity": "apimachinery.pkg.api.resource.Quantity",
}


def kserve_schema(kind: str) -> dict:
    """The schema of a kind, such as "V1beta1InferenceService", that refuses the fields it does not name."""
    wheels = sorted(WHEELS.glob("kserve-*.whl"))
    if not wheels:
        pytest.skip(f"KServe's models are read from its wheel: {HOW}")
    models = dict(model for source in sources(wheels[-1]) if (model := model_of(source)))
    return {"$ref": f"#/$defs/{kind}", "$defs": {name: object_schema(*model, models) for name, model in models.items()}}


def sources(wheel: Path) -> list[str]:
    with ZipFile(wheel) as files:
        names = [name for name in files.namelist() if re.fullmatch(r"kserve/models/\w+\.py", name)]
        return [files.read(name).decode() for name in names]


def model_of(source: str) -> tuple[str, tuple[dict, dict]] | None:
    """Name of a generated class, the types of its attributes, and the names that they have in JSON."""
    for made in (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)):
        facts = {
            node.targets[0].id: ast.literal_eval(node.value)
            for node in made.body
            if isinstance(node, ast.Assign) and node.targets[0].id in ("openapi_types", "attribute_map")
        }
        return made.name, (facts["openapi_types"], facts["attribute_map"])
    return None


def object_schema(types: dict[str, str], names: dict[str, str], models: dict) -> dict:
    properties = {names[attribute]: type_schema(kind, models) for attribute, kind in types.items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def type_schema(kind: str, models: dict) -> dict:
    if found := re.fullmatch(r"list\[(.*)\]", kind):
        return {"type": "array", "items": type_schema(found[1], models)}
    if found := re.fullmatch(r"dict\(str, (.*)\)", kind):
        return {"type": "object", "additionalProperties": type_schema(found[1], models)}
    if kind in PLAIN:
        return PLAIN[kind]
    if kind in models:
        return {"$ref": f"#/$defs/{kind}"}
    place = ELSEWHERE.get(kind) or f"api.core.v1.{kind.removeprefix('V1')}"
    return {"$ref": OF_KUBERNETES + place}
