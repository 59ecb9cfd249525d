"""The objects that `kubectl kustomize` renders from deploy/ are valid to Kubernetes and agree with each other."""

import json
import re
import shutil
import subprocess
import tomllib

import pytest
from support.places import EXAMPLES, ROOT
from support.tools import kustomize

from convai.__main__ import parser
from convai.backends.management import serve
from convai.backends.management.launcher import STOP_SECONDS
from convai.client import ask
from convai.generator.profiles import PROFILES
from convai.generator.targets import ENGINE_CACHE

kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="it comes with the extra test")
yaml = pytest.importorskip("yaml", reason="PyYAML comes with the extra test")

KUBERNETES = "1.37"
EXTENSIONS = ("keda.sh/", "monitoring.coreos.com/", "serving.kserve.io/")
OVERLAYS = ["kubernetes/overlays/cpu", "kubernetes/overlays/gpu", "cpu with TLS", "gpu with TLS"]
SERVERS = [*OVERLAYS, "kserve"]
IMAGE = (ROOT / "Dockerfile").read_text()
GPU_COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
COMPOSE = yaml.safe_load((ROOT / "compose.cpu.yaml").read_text())["services"]


@pytest.fixture(scope="module")
def render(tmp_path_factory):
    """Render a folder of deploy/, or an overlay with the TLS component, as its objects by kind; each once."""
    copy = tmp_path_factory.mktemp("deploy")
    shutil.copytree(ROOT / "deploy", copy, dirs_exist_ok=True)
    for overlay in ("cpu", "gpu"):
        overlays = {"resources": [f"../kubernetes/overlays/{overlay}"], "components": ["../kubernetes/components/tls"]}
        (copy / f"{overlay} with TLS").mkdir()
        (copy / f"{overlay} with TLS" / "kustomization.yaml").write_text(yaml.safe_dump(overlays))
    rendered = {}

    def objects(folder):
        if folder not in rendered:
            documents = list(yaml.load_all(kustomize(copy / folder), yaml.CSafeLoader))
            rendered[folder] = {each["kind"]: each for each in documents}
            assert len(rendered[folder]) == len(documents)
        return rendered[folder]

    return objects


def pod_and_container(objects):
    if "Deployment" in objects:
        pod = objects["Deployment"]["spec"]["template"]["spec"]
        return pod, pod["containers"][0]
    return objects["InferenceService"]["spec"]["predictor"], objects["ServingRuntime"]["spec"]["containers"][0]


@pytest.mark.parametrize("folder", [*SERVERS, "monitoring"])
def test_every_object_of_kubernetes_is_valid(folder, render):
    own = [each for each in render(folder).values() if not each["apiVersion"].startswith(EXTENSIONS)]
    assert own
    for each in own:
        kubernetes_validate.validate(each, KUBERNETES, strict=True)


@pytest.mark.parametrize("folder", SERVERS)
def test_server_and_startup_probe_parse_their_options(folder, render):
    _, server = pod_and_container(render(folder))
    options = parser("serve", serve).parse_args(server["args"])
    assert options.profile in PROFILES
    convai, name, *words = server["startupProbe"]["exec"]["command"]
    assert (convai, name) == ("convai", "ask")
    assert bool(parser("ask", ask).parse_args(words).tls_ca) == bool(options.tls_cert)


@pytest.mark.parametrize("folder", SERVERS)
def test_a_server_can_drain_and_stop_before_it_is_killed(folder, render):
    pod, server = pod_and_container(render(folder))
    drain = float(server["args"][server["args"].index("--drain") + 1])
    assert pod["terminationGracePeriodSeconds"] > drain + STOP_SECONDS


@pytest.mark.parametrize("folder", SERVERS)
def test_a_server_is_never_root_and_writes_only_to_its_own_volumes(folder, render):
    pod, server = pod_and_container(render(folder))
    security = pod.get("securityContext", {}) | server["securityContext"]
    assert security["runAsNonRoot"]
    assert security["runAsUser"] > 0
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    writable = {mount["mountPath"] for mount in server["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/tmp", "/dev/shm"} | ({ENGINE_CACHE} if "gpu" in folder else set())


@pytest.mark.parametrize("folder", OVERLAYS)
def test_every_selector_matches_the_servers(folder, render):
    objects = render(folder)
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    assert objects["Service"]["spec"]["selector"].items() <= labels
    for kind in ("Deployment", "PodDisruptionBudget", "NetworkPolicy"):
        spec = objects[kind]["spec"]
        assert (spec.get("selector") or spec["podSelector"])["matchLabels"].items() <= labels


@pytest.mark.parametrize("folder", SERVERS)
def test_prometheus_finds_the_servers(folder, render):
    service, monitor = render(folder)["Service"], render(folder)["ServiceMonitor"]["spec"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert {each["port"] for each in monitor["endpoints"]} <= {port["name"] for port in service["spec"]["ports"]}


def test_kserve_runs_and_scales_like_the_overlay_for_a_cpu(render):
    kserve, plain = render("kserve"), render("kubernetes/overlays/cpu")
    (_, theirs), (pod, ours) = pod_and_container(kserve), pod_and_container(plain)
    for field in ("image", "args", "startupProbe", "readinessProbe", "livenessProbe", "volumeMounts"):
        assert theirs[field] == ours[field]
    assert kserve["ServingRuntime"]["spec"]["volumes"] == pod["volumes"]
    scaling, scaled = kserve["InferenceService"]["spec"]["predictor"]["autoScaling"], plain["ScaledObject"]["spec"]
    external, trigger = scaling["metrics"][0]["external"], scaled["triggers"][0]["metadata"]
    assert (external["metric"]["query"], external["target"]["value"]) == (trigger["query"], trigger["threshold"])
    assert scaling["behavior"] == scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]


def test_the_autoscalers_query_asks_for_a_metric_that_a_server_has(render):
    (trigger,) = render("kubernetes/overlays/cpu")["ScaledObject"]["spec"]["triggers"]
    (metric,) = re.findall(r"nv_\w+", trigger["metadata"]["query"])
    assert f"\n{metric}{{" in (ROOT / "tests/support/recorded_scrape.txt").read_text()


def test_three_servers_of_the_compose_file_share_the_name_that_is_asked():
    server, caller = COMPOSE["convai"], COMPOSE["ask"]
    assert server["deploy"]["replicas"] == 3
    (name,) = server["networks"]["default"]["aliases"]
    _, _, *words = caller["entrypoint"]
    assert parser("ask", ask).parse_args(words).server == f"dns:///{name}:8001"
    assert float(server["stop_grace_period"].rstrip("s")) > float(server["command"][1]) + STOP_SECONDS


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.cpu"])
def test_an_image_gets_what_the_wheel_holds_and_the_example_of_its_health_check(name):
    text = (ROOT / name).read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    copied = {word for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE) for word in line.split()}
    assert {*packed, "pyproject.toml", project["project"]["readme"]} <= copied
    (folder,) = re.findall(r"^COPY convai/client/examples (\S+)$", text, re.MULTILINE)
    examples = [word.removeprefix(f"{folder}/") for word in health_check(text) if folder in word]
    assert examples == [word.removeprefix(f"{folder}/") for word in COMPOSE["ask"]["entrypoint"] if folder in word]
    assert all((EXAMPLES / file).is_file() for file in examples)


def health_check(dockerfile):
    (command,) = re.findall(r"^HEALTHCHECK .*\\\n +CMD (.*)$", dockerfile, re.MULTILINE)
    return json.loads(command)


@pytest.mark.parametrize("folder", SERVERS)
@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.cpu"])
def test_an_image_and_a_startup_probe_ask_the_same_question_and_want_a_spoken_answer(name, folder, render):
    _, server = pod_and_container(render(folder))
    command = health_check((ROOT / name).read_text())
    assert server["startupProbe"]["exec"]["command"][: len(command)] == command
    assert parser("ask", ask).parse_args(command[2:]).out.parent.as_posix() == "/tmp"


def test_a_gpu_server_may_build_engines_before_its_checks_count(render):
    (entrypoint,) = re.findall(r"^ENTRYPOINT (.*)$", IMAGE, re.MULTILINE)
    (start_period,) = map(int, re.findall(r"--start-period=(\d+)s", IMAGE))
    options = parser("serve", serve).parse_args(json.loads(entrypoint)[2:])
    _, server = pod_and_container(render("kubernetes/overlays/gpu"))
    probe = server["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= start_period > options.ready_timeout
    assert options.model_repository.as_posix() == "/models"


def test_the_gpu_image_can_export_and_talk_on_either_base():
    build = GPU_COMPOSE["convai"]["build"]
    extras = set(re.findall(r"'\.\[(.*?)\]'", IMAGE)[0].split(","))
    assert {"server", "export", "talk"} <= extras
    arguments = dict(re.findall(r"^ARG (\w+)=(.*)$", IMAGE, re.MULTILINE))
    for name, value in build["args"].items():
        assert re.sub(r"\$\{\w+:?-(.*)\}", r"\1", value) == arguments[name]
    assert set(re.findall(r"--build-arg (\w+)=", (ROOT / "docs/nvidia.md").read_text())) <= set(arguments)


@pytest.mark.parametrize(
    ("container", "package"),
    [("10.5.0.26+cuda12.6", "tensorrt-cu12==10.5.0.*"), ("10.13.3.9+cuda13.0", "tensorrt-cu13==10.13.3.*")],
)
def test_the_image_installs_the_tensorrt_of_its_container(container, package):
    line = re.findall(r'^RUN (version=.*) \\\n +&& pip install --no-cache-dir (".*")$', IMAGE, re.MULTILINE)
    ((assignments, requirement),) = line
    command = ["sh", "-c", f"{assignments} && printf %s {requirement}"]
    said = subprocess.run(command, env={"TRT_VERSION": container}, capture_output=True, text=True, check=True)
    assert said.stdout == package
