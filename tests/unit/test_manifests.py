"""What `kubectl kustomize` makes of deploy/ is valid to Kubernetes and its extensions, and its parts agree."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from benchmarks.speed.fleet import Autoscaler
from support.kserve_models import kserve_schema
from support.places import ROOT
from support.tools import kustomize

from convai.__main__ import COMMANDS, parser
from convai.backends.management import serve
from convai.backends.management.launcher import STOP_SECONDS
from convai.client import ask
from convai.generator.profiles import PROFILES

kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="it comes with the extra test")
yaml = pytest.importorskip("yaml", reason="PyYAML comes with the extra test")

KUBERNETES = "1.37"
CRDS = Path(os.environ.get("CONVAI_CRDS", ROOT / "build" / "crds"))  # docs/kubernetes.md says where they come from
EXTENSIONS = ("keda.sh/", "monitoring.coreos.com/", "serving.kserve.io/")
FOLDERS = ["kubernetes/overlays/cpu", "kubernetes/overlays/gpu", "cpu with TLS", "gpu with TLS", "kserve", "monitoring"]


@pytest.fixture(scope="module")
def render(tmp_path_factory):
    """The objects of a folder of deploy/, or of an overlay with the component that turns on TLS; each rendered once."""
    copy = tmp_path_factory.mktemp("deploy")
    shutil.copytree(ROOT / "deploy", copy, dirs_exist_ok=True)
    for overlay in ("cpu", "gpu"):
        overlays = {"resources": [f"../kubernetes/overlays/{overlay}"], "components": ["../kubernetes/components/tls"]}
        (copy / f"{overlay} with TLS").mkdir()
        (copy / f"{overlay} with TLS" / "kustomization.yaml").write_text(yaml.safe_dump(overlays))
    rendered = {}

    def objects(folder):
        if folder not in rendered:
            rendered[folder] = list(yaml.load_all(kustomize(copy / folder), yaml.CSafeLoader))
        return rendered[folder]

    return objects


def the(kind, objects):
    (found,) = [each for each in objects if each["kind"] == kind]
    return found


def container(objects):
    kinds = {each["kind"] for each in objects}
    if "Deployment" in kinds:
        return the("Deployment", objects)["spec"]["template"]["spec"]["containers"][0]
    return the("ServingRuntime", objects)["spec"]["containers"][0]


def is_extension(each):
    return each["apiVersion"].startswith(EXTENSIONS)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_object_of_kubernetes_is_valid(folder, render):
    own = [each for each in render(folder) if not is_extension(each)]
    assert own
    for each in own:
        kubernetes_validate.validate(each, KUBERNETES, strict=True)


def test_a_misspelt_field_would_be_noticed(render):
    deployment = the("Deployment", render("kubernetes/overlays/cpu"))
    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        kubernetes_validate.validate(
            deployment | {"spec": deployment["spec"] | {"replica": 3}}, KUBERNETES, strict=True
        )


def definitions():
    """The schema of every custom resource in the folder of definitions, by (apiVersion, kind)."""
    if not CRDS.is_dir():
        pytest.skip(f"there is no {CRDS}: docs/kubernetes.md says where the definitions come from")
    documents = [each for file in CRDS.glob("*.yaml") for each in yaml.load_all(file.read_text(), yaml.CSafeLoader)]
    return {
        (f"{spec['group']}/{version['name']}", spec["names"]["kind"]): closed(version["schema"]["openAPIV3Schema"])
        for spec in (each["spec"] for each in documents if each)
        for version in spec["versions"]
    }


def closed(schema):
    """The schema that refuses the fields it does not name, which a cluster would drop without a word."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(value) for name, value in schema.items()}
    if isinstance(inner.get("pattern"), str):
        inner["pattern"] = inner["pattern"].replace("^(?i)", "(?i)^")  # Go takes a flag anywhere, Python at the start
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        inner.setdefault("additionalProperties", False)
    return inner


@pytest.fixture(scope="module")
def schemas():
    return definitions()


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_custom_resource_is_valid_to_its_definition(folder, render, schemas):
    jsonschema = pytest.importorskip("jsonschema")
    for each in filter(is_extension, render(folder)):
        jsonschema.validate(each, schemas[each["apiVersion"], each["kind"]])


def kserve_validator(kind):
    """Checks an object against KServe's own models, and what they hold of Kubernetes against its strict schemas."""
    jsonschema, referencing = pytest.importorskip("jsonschema"), pytest.importorskip("referencing")
    folder = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / f"v{KUBERNETES}.0-local-strict"
    kubernetes = referencing.Resource.from_contents(json.loads((folder / "_definitions.json").read_text()))
    return jsonschema.Draft202012Validator(kserve_schema(kind), registry=kubernetes @ referencing.Registry())


@pytest.mark.parametrize("kind", ["V1alpha1ServingRuntime", "V1beta1InferenceService"])
def test_kserve_understands_every_field(kind, render):
    kserve_validator(kind).validate(the(re.sub(r"^V\d+(alpha|beta)\d+", "", kind), render("kserve")))


def test_a_field_that_kserve_does_not_know_would_be_noticed(render):
    validator = kserve_validator("V1alpha1ServingRuntime")
    runtime = the("ServingRuntime", render("kserve"))
    misspelt = container([runtime]) | {"readynessProbe": {}}
    errors = validator.iter_errors(runtime | {"spec": runtime["spec"] | {"containers": [misspelt]}})
    assert any("readynessProbe" in error.message for error in errors)
    errors = validator.iter_errors(runtime | {"spec": runtime["spec"] | {"replica": 3}})
    assert any("replica" in error.message for error in errors)


@pytest.mark.parametrize("folder", FOLDERS[:-1])
def test_the_server_and_its_first_question_understand_their_options(folder, render):
    server = container(render(folder))
    options = parser("serve", serve).parse_args(server["args"])
    assert options.profile in PROFILES
    convai, name, *words = server["startupProbe"]["exec"]["command"]
    asked = parser(name, ask).parse_args(words)
    assert (convai, name) == ("convai", "ask") and name in COMMANDS
    assert bool(asked.tls_ca) == bool(options.tls_cert)


@pytest.mark.parametrize("folder", FOLDERS[:-1])
def test_a_server_may_drain_and_stop_before_it_is_killed(folder, render):
    objects = render(folder)
    arguments = container(objects)["args"]
    drain = float(arguments[arguments.index("--drain") + 1])
    kserve = folder == "kserve"
    pod = the("InferenceService", objects)["spec"]["predictor"] if kserve else pod_of(objects)
    assert pod["terminationGracePeriodSeconds"] > drain + STOP_SECONDS


def pod_of(objects):
    return the("Deployment", objects)["spec"]["template"]["spec"]


@pytest.mark.parametrize("folder", FOLDERS[:-1])
def test_it_is_never_root_and_writes_only_to_its_own_volumes(folder, render):
    objects = render(folder)
    server = container(objects)
    security = (pod_of(objects)["securityContext"] if folder != "kserve" else {}) | server["securityContext"]
    assert security["runAsNonRoot"] and security["runAsUser"] > 0
    assert security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    writable = {mount["mountPath"] for mount in server["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/tmp", "/dev/shm"}


@pytest.mark.parametrize("folder", FOLDERS[:4])
def test_everything_selects_the_labels_of_the_servers(folder, render):
    objects = render(folder)
    labels = the("Deployment", objects)["spec"]["template"]["metadata"]["labels"].items()
    assert the("Service", objects)["spec"]["selector"].items() <= labels
    for kind, field in (
        ("Deployment", "selector"),
        ("PodDisruptionBudget", "selector"),
        ("NetworkPolicy", "podSelector"),
    ):
        assert the(kind, objects)["spec"][field]["matchLabels"].items() <= labels
    service = the("Service", objects)["metadata"]["labels"].items()
    assert the("ServiceMonitor", objects)["spec"]["selector"]["matchLabels"].items() <= service


def test_kserve_runs_what_the_overlay_for_a_cpu_runs(render):
    kserve, plain = container(render("kserve")), container(render("kubernetes/overlays/cpu"))
    for field in ("image", "args", "startupProbe", "readinessProbe", "livenessProbe", "volumeMounts"):
        assert kserve[field] == plain[field]
    volumes = the("ServingRuntime", render("kserve"))["spec"]["volumes"]
    assert volumes == pod_of(render("kubernetes/overlays/cpu"))["volumes"]


def test_prometheus_finds_the_servers_of_kserve(render):
    service = the("Service", render("kserve"))
    monitor = the("ServiceMonitor", render("kserve"))["spec"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    ports = {port["name"] for port in service["spec"]["ports"]}
    assert {endpoint["port"] for endpoint in monitor["endpoints"]} <= ports


def test_kserve_scales_by_the_same_query_and_threshold(render):
    (kserve,) = the("InferenceService", render("kserve"))["spec"]["predictor"]["autoScaling"]["metrics"]
    (keda,) = the("ScaledObject", render("kubernetes/overlays/cpu"))["spec"]["triggers"]
    assert kserve["external"]["metric"]["query"] == keda["metadata"]["query"]
    assert kserve["external"]["target"]["value"] == keda["metadata"]["threshold"]


def test_both_scale_by_the_rules_that_are_simulated(render):
    rules = Autoscaler(1, 2)
    keda = the("ScaledObject", render("kubernetes/overlays/cpu"))["spec"]
    assert float(keda["triggers"][0]["metadata"]["threshold"]) == rules.target_waiting
    assert keda["pollingInterval"] == rules.check_seconds
    behavior = keda["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior == the("InferenceService", render("kserve"))["spec"]["predictor"]["autoScaling"]["behavior"]
    (growth,), (shrinkage,) = (behavior[way]["policies"] for way in ("scaleUp", "scaleDown"))
    assert (growth["value"] / 100, growth["periodSeconds"]) == (rules.growth, rules.growth_seconds)
    assert (shrinkage["value"] / 100, shrinkage["periodSeconds"]) == (rules.shrinkage, rules.shrinkage_seconds)
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == rules.patience_seconds


def test_the_autoscalers_query_asks_for_what_a_server_counts(render):
    (keda,) = the("ScaledObject", render("kubernetes/overlays/cpu"))["spec"]["triggers"]
    (metric,) = re.findall(r"nv_\w+", keda["metadata"]["query"])
    assert f"\n{metric}{{" in (ROOT / "tests/support/recorded_scrape.txt").read_text()


def test_three_servers_of_the_compose_file_share_the_name_that_is_asked():
    services = yaml.safe_load((ROOT / "compose.cpu.yaml").read_text())["services"]
    server, caller = services["convai"], services["ask"]
    assert server["deploy"]["replicas"] == 3
    (name,) = server["networks"]["default"]["aliases"]
    convai, command, *words = caller["entrypoint"]
    assert parser(command, ask).parse_args(words).server == f"dns:///{name}:8001"
    assert float(server["stop_grace_period"].rstrip("s")) > float(server["command"][1]) + STOP_SECONDS


def test_the_images_examples_lie_where_the_probes_look(render):
    (folder,) = re.findall(r"^COPY client/examples (\S+)$", (ROOT / "Dockerfile.cpu").read_text(), re.MULTILINE)
    asked = [Path(word) for word in container(render("kserve"))["startupProbe"]["exec"]["command"] if "/" in word]
    assert {path.parent for path in asked} == {Path(folder)}
    assert all((ROOT / "client/examples" / path.name).is_file() for path in asked)
