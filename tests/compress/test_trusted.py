"""What `infimum verify FOLDER` runs, and that it accepts what other processors and numbers of threads have written."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import infimum  # noqa: E402
from infimum import compress  # noqa: E402
from tests.compress.conftest import LOWER, tiny_bert, tiny_llama, write  # noqa: E402
from tests.compress.test_language_models import tiny_experts, tiny_gpt2  # noqa: E402

SOURCE = Path(infimum.__file__).parent
GROUND = {"_arrays", "_arguments", "_linalg", "_system", "_threads", "errors", "__init__"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("trusted")
    makers = {"bert": tiny_bert, "llama": tiny_llama, "gpt2": tiny_gpt2, "experts": tiny_experts}
    return {name: write(make(), root / name) for name, make in makers.items()}


def functions_of(run: Any) -> set[str]:
    """Run something, and return the modules of infimum whose functions were called."""
    seen: set[str] = set()

    def note(frame: Any, event: str, _argument: Any) -> None:
        if event == "call" and frame.f_code.co_name != "<module>":
            seen.add(frame.f_code.co_filename)

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    inside = (Path(path).relative_to(SOURCE) for path in seen if path.startswith(str(SOURCE)))
    return {".".join(("infimum", *path.with_suffix("").parts)) for path in inside}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("bert", {}),
        ("bert", {"plain": True}),
        ("bert", {"menu": ("bits", "ranks", "widths")}),
        ("llama", {"format": "compressed-tensors"}),
        pytest.param("bert", {**LOWER["channels"], "allocation": "uniform"}, marks=pytest.mark.slow),
        pytest.param("llama", {}, marks=pytest.mark.slow),
        pytest.param("llama", LOWER["factors"], marks=pytest.mark.slow),
        pytest.param("gpt2", {}, marks=pytest.mark.slow),
        pytest.param("experts", {}, marks=pytest.mark.slow),
    ],
)
def test_verification_runs_only_what_is_listed(
    name: str, options: dict[str, Any], models: dict[str, Path], text: list[str], tmp_path: Path
) -> None:
    plan = compress.plan(models[name], remove=0.3, calib=text, **options)
    out = plan.save(tmp_path / "out", adapter=2 if plan.settings.plain else None)
    seen = functions_of(lambda: compress.verify(out))
    listed = set(sys.modules["infimum.compress.verify"].TRUSTED)
    stray = {
        module
        for module in seen - listed
        if not module.startswith("infimum.proof.") and module.removeprefix("infimum.") not in GROUND
    }
    assert not stray
    assert "infimum.compress.verify" in seen


def test_what_is_listed_exists() -> None:
    """A module of the list that is no longer there would be a line that an auditor looks for in vain."""
    for module in sys.modules["infimum.compress.verify"].TRUSTED:
        assert (SOURCE.parent / Path(*module.split("."))).with_suffix(".py").is_file(), module


def test_reading_and_comparing_needs_no_model() -> None:
    imports = "import sys, infimum.proof.checkpoint, infimum.proof.folder"
    code = f"{imports}; assert not {{'torch', 'transformers'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- other machines --------------------------------------------------------------------------------------------------

WRITE = """
import sys, torch
from pathlib import Path
from infimum import compress
torch.set_num_threads(int(sys.argv[1]))
for model in sys.argv[4:]:
    moments = compress.calibrate(model, Path(sys.argv[2]))
    for name, options in {
        "nothing": {"remove": 0.0, "menu": ("ranks", "widths")},
        "mixed": {"remove": 0.3, "menu": ("ranks", "widths")},
        "plain": {"remove": 0.02, "menu": ("ranks",), "plain": True},
        "activation": {"remove": 0.3, "menu": ("ranks",), "objective": "activation"},
    }.items():
        plan = compress.plan(model, moments=moments, **options)
        plan.save(Path(sys.argv[3]) / f"{Path(model).name}-{name}")
    for name, remove, menu in (("judged", 0.3, ("ranks", "widths")), ("bits", 0.8, ("bits", "ranks", "widths"))):
        plan = compress.plan(model, remove=remove, menu=menu, calib=Path(sys.argv[2]))
        plan.save(Path(sys.argv[3]) / f"{Path(model).name}-{name}")
"""
VERIFY = """
import sys, torch
from pathlib import Path
from infimum import compress
from infimum.errors import InfimumError
torch.set_num_threads(int(sys.argv[1]))
refused = 0
for out in sorted(Path(sys.argv[2]).iterdir()):
    try:
        compress.verify(out)
    except InfimumError as error:
        refused += 1
        print(out.name, error)
sys.exit(refused)
"""
MACHINES: dict[str, dict[str, str]] = {
    "1 thread": {"OPENBLAS_NUM_THREADS": "1"},
    "2 threads": {"OPENBLAS_NUM_THREADS": "2"},
    "Sandybridge": {"OPENBLAS_CORETYPE": "Sandybridge", "ATEN_CPU_CAPABILITY": "default", "OPENBLAS_NUM_THREADS": "1"},
    "Haswell": {"OPENBLAS_CORETYPE": "Haswell", "ATEN_CPU_CAPABILITY": "avx2", "OPENBLAS_NUM_THREADS": "2"},
    "SkylakeX": {"OPENBLAS_CORETYPE": "SkylakeX", "OPENBLAS_NUM_THREADS": "1"},
    "Sandybridge, 2 threads": {
        "OPENBLAS_CORETYPE": "Sandybridge",
        "ATEN_CPU_CAPABILITY": "default",
        "OPENBLAS_NUM_THREADS": "2",
    },
}


def on(machine: str, code: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
    threads = MACHINES[machine]["OPENBLAS_NUM_THREADS"]
    # threads that spin while they wait take the processor from the other tests
    environment = os.environ | MACHINES[machine] | {"OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "passive"}
    command = [sys.executable, "-c", code, threads, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def nearly_low_rank() -> Any:
    """A model whose matrices have rank 3 but for rounding: the errors of most ranks are rounding itself."""
    torch.manual_seed(2)
    model = tiny_bert()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 2 and "embeddings" not in name:
                left, right = torch.randn(parameter.shape[0], 3), torch.randn(3, parameter.shape[1])
                parameter.copy_(0.02 * left @ right)
    return model


@pytest.fixture(scope="module")
def written(
    models: dict[str, Path], text: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, tuple[str, ...]], Path]:
    root = tmp_path_factory.mktemp("machines")
    (root / "text.txt").write_text("\n\n".join(text))
    folders = {**models, "low": write(nearly_low_rank(), root / "low")}

    @functools.cache
    def write_on(machine: str, names: tuple[str, ...]) -> Path:
        out = root / f"{machine} {' '.join(names)}"
        out.mkdir()
        done = on(machine, WRITE, root / "text.txt", out, *(folders[name] for name in names))
        assert done.returncode == 0, done.stderr[-2000:]
        return out

    return write_on


PAIRS: list[Any] = [("1 thread", "Sandybridge, 2 threads", ("low",))]  # all differs at once
MORE = [("1 thread", "2 threads"), ("2 threads", "1 thread"), ("2 threads", "Sandybridge"), ("1 thread", "Sandybridge")]
MORE += [("Sandybridge", "1 thread"), ("Sandybridge", "Haswell"), ("Sandybridge", "SkylakeX")]
MORE += [("2 threads", "Haswell"), ("1 thread", "SkylakeX"), ("1 thread", "Sandybridge, 2 threads")]
PAIRS += [pytest.param(*pair, ("bert", "llama", "low"), marks=pytest.mark.slow) for pair in MORE]


@pytest.mark.parametrize(("writer", "verifier", "names"), PAIRS)
def test_what_another_machine_wrote_is_accepted(
    written: Callable[[str, tuple[str, ...]], Path], writer: str, verifier: str, names: tuple[str, ...]
) -> None:
    done = on(verifier, VERIFY, written(writer, names))
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
