"""The wheel is the whole product: built, installed into an environment of its own, used in an empty folder."""

import os
import shutil
import signal
import subprocess
import sys
import zipfile

import pytest
from support.places import ROOT

pytestmark = pytest.mark.timeout(1200)  # builds, exports and starts two servers

MAX_WHEEL_BYTES = 95_000_000  # package indexes refuse 100
# Runs at the start of every Python of the environment, those inside the server included.
GUARD = """
import sys

CHECKOUT, PACKAGES = {checkout!r}, {packages!r}

def refuse(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and arguments and isinstance(arguments[0], str):
        if arguments[0].startswith(CHECKOUT) and not arguments[0].startswith(PACKAGES):
            raise RuntimeError(f"{{arguments[0]}} was read, a file of the checkout")

sys.addaudithook(refuse)
"""


def run(*words, cwd, **variables):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    done = subprocess.run(list(map(str, words)), cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copy_files(options, folder):
    """Copy those of the checkout that git lists."""
    for name in run("git", "ls-files", "-z", "--exclude-standard", *options, cwd=ROOT).split("\0"):
        file, copy = ROOT / name, folder / name
        if name and os.path.lexists(file):  # one that was removed is listed until that is committed
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, copy, follow_symlinks=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built as `python -m build` does, the wheel from the sdist, with the build tools that are here."""
    folder, source = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("source")
    # What git has or would add: exports are not packed, and building leaves its traces elsewhere.
    copy_files(["--cached", "--others"], source)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, source, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """An environment with the wheel, where other packages are found but neither convai nor any file of the checkout."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    run(sys.executable, "-m", "pip", "--python", folder, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    packages = [path for path in sys.path if path.endswith("site-packages")]
    (site,) = folder.glob("lib/python*/site-packages")
    # Of folders named in a .pth file Python reads no further .pth file, so not the one of an editable install.
    (site / "other_packages.pth").write_text("\n".join(packages))
    guard = GUARD.format(checkout=f"{ROOT}/", packages=(f"{sys.prefix}/", f"{sys.base_prefix}/"))
    (site / "sitecustomize.py").write_text(guard)
    return folder


@pytest.fixture(scope="module")
def package(environment):
    """The folder of what was installed."""
    (package,) = environment.glob("lib/python*/site-packages/convai")
    return package


@pytest.fixture
def empty(tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def test_it_is_small_enough_and_holds_no_export(wheel):
    assert wheel.stat().st_size < MAX_WHEEL_BYTES
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if name.endswith((".onnx", ".pt", ".plan", ".npy", ".pyc"))]
    assert len([name for name in names if name.endswith(".safetensors")]) == 5


def test_the_guard_refuses_files_of_the_checkout(environment, empty):
    program = f"open({str(ROOT / 'README.md')!r})"
    done = subprocess.run([environment / "bin" / "python", "-c", program], cwd=empty, capture_output=True, text=True)
    assert "a file of the checkout" in done.stderr


def test_the_package_is_that_of_the_wheel(environment, empty):
    printed = run(environment / "bin" / "python", "-c", "import convai; print(convai.__file__)", cwd=empty)
    assert printed.startswith(str(environment))


@pytest.fixture(scope="module")
def demo(environment, package, tmp_path_factory):
    """An empty folder in which `convai demo` was run, what it printed, and the repository it made, like `init`.

    It exports BERT itself; what the checkout exported spares it the other networks, which take a minute.
    """
    folder, cache = tmp_path_factory.mktemp("demo"), tmp_path_factory.mktemp("cache")
    copy_files(["--others", "--ignored", "--", "model_repository", ":!*.pyc", ":!*/bert/*"], package)
    printed = run(environment / "bin" / "convai", "demo", cwd=folder, XDG_CACHE_HOME=str(cache))
    (repository,) = cache.glob("convai/*/model_repository")
    return folder, printed, repository


def test_the_demo_answers_the_example_in_an_empty_folder(demo):
    folder, printed, _ = demo
    assert "often called" in printed
    assert (folder / "answer.wav").stat().st_size > 1000


def test_the_repository_that_was_made_is_served_and_answers(environment, package, empty, demo):
    convai, examples = environment / "bin" / "convai", package / "client" / "examples"
    ports = ["--grpc-port=0", "--metrics-port=0"]
    command = [convai, "serve", "--model-repository", demo[2], *ports]
    with subprocess.Popen(command, cwd=empty, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as serving:
        try:
            said = ""
            for line in serving.stdout:
                said += line
                if line.startswith("ready"):
                    break
            assert "ready" in said, said
            address = said.split("gRPC")[1].split()[0]
            asked = [examples / "question.wav", "--context", examples / "context.txt", "--server", address]
            assert "often called" in run(convai, "ask", *asked, cwd=empty)
        finally:
            serving.send_signal(signal.SIGTERM)
            serving.wait(40)
