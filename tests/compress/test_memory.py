"""Checkpoints larger than memory, and runs that are killed."""

from __future__ import annotations

import fcntl
import gc
import os
import subprocess
import sys
import threading
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402

from infimum import compress  # noqa: E402
from infimum.cli import main  # noqa: E402
from infimum.compress.measure import scratch  # noqa: E402
from infimum.compress.menu.forms import FactorForm  # noqa: E402
from infimum.compress.model import tensor_files  # noqa: E402
from infimum.compress.model.experts import unfuse  # noqa: E402
from infimum.compress.model.tensor_files import Stored  # noqa: E402
from infimum.compress.write import safetensors_file  # noqa: E402
from infimum.compress.write.form_shelf import FormShelf  # noqa: E402
from infimum.compress.write.safetensors_file import write_file, write_tensors  # noqa: E402
from tests.compress.conftest import write_tokenizer  # noqa: E402
from tests.small_disk import small_disk  # noqa: E402

LIMIT = 3 * 10**9


SIZES = {
    "vocab_size": 64,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "max_position_embeddings": 256,
}


def llama(blocks: int, hidden: int, intermediate: int) -> transformers.PreTrainedConfig:
    return transformers.LlamaConfig(
        **SIZES, num_hidden_layers=blocks, hidden_size=hidden, intermediate_size=intermediate
    )


def experts(blocks: int, hidden: int, count: int) -> transformers.PreTrainedConfig:
    return transformers.Qwen3MoeConfig(
        **SIZES,
        num_hidden_layers=blocks,
        hidden_size=hidden,
        moe_intermediate_size=hidden,
        num_experts=count,
        num_experts_per_tok=2,
        head_dim=hidden // 8,
    )


def make_checkpoint(folder: Path, config: transformers.PreTrainedConfig) -> Path:
    """Write a language model of random float32 weights, one tensor in memory at a time."""
    kind = transformers.AutoModelForCausalLM
    folder.mkdir()
    with torch.device("meta"):
        model = kind.from_config(config)
    config.architectures = [type(model).__name__]
    config.save_pretrained(folder)
    shapes = {name: tuple(tensor.shape) for name, tensor in unfuse(model).state_dict().items()}

    def random(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
        if len(shape) == 1:
            return torch.ones(shape)
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * (2.0 / shape[1]) ** 0.5

    read = {name: partial(random, seed, shape) for seed, (name, shape) in enumerate(shapes.items())}
    write_tensors((Stored(name, "F32", shape, read[name]) for name, shape in shapes.items()), folder)
    write_tokenizer(folder)
    np.save(folder.parent / "ids.npy", np.random.default_rng(0).integers(2, 62, (2, 192)))
    return folder


LIMITED = """
import resource, sys
limit = int(sys.argv[4])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
from infimum import compress
plan = compress.plan(sys.argv[1], remove=float(sys.argv[5]), calib=sys.argv[2], menu=("ranks",))
plan.save(sys.argv[3])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def compress_within(limit: int, folder: Path, out: Path, remove: float) -> int:
    """Compress in a process that cannot have more address space than `limit`, and return its peak resident size.

    RLIMIT_AS counts everything that the process maps: the interpreter, the libraries, files, memory, and what glibc
    keeps of freed memory. So that it keeps little, all that is large is mapped by itself.
    """
    (folder.parent / "scratch").mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, folder, folder.parent / "ids.npy", out, str(limit), str(remove)],
        env=os.environ
        | {"TMPDIR": str(folder.parent / "scratch"), "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "131072"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert list((folder.parent / "scratch").iterdir()) == []
    return int(done.stdout)


LARGE = {
    # of 64 experts a block, 384 tokens reach few, and those too rarely: in minutes, what changes is attention
    "experts": (experts(blocks=30, hidden=512, count=64), 0.005),
    "llama": (llama(blocks=660, hidden=512, intermediate=1024), 0.2),  # half an hour of one processor
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_six_gigabytes_within_three(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safetensors_file, "SHARD_BYTES", 4 * 10**8)
    config, remove = LARGE[name]
    folder, out = make_checkpoint(tmp_path / "model", config), tmp_path / "out"
    assert sum(path.stat().st_size for path in folder.glob("model-*.safetensors")) >= 6 * 10**9
    assert len(list(folder.glob("model-*.safetensors"))) > 10
    peak = compress_within(LIMIT, folder, out, remove)
    print(f"peak resident size {peak / 1e9:.2f} GB")
    assert peak < LIMIT
    checkpoint, written = compress.open_checkpoint(folder), tensor_files.TensorFiles(out)
    linear = sum(layer.size for layer in checkpoint.layers)
    numbers = sum(written[name].numel() for name in written if not name.endswith("order"))
    assert numbers <= sum(checkpoint.sizes.values()) - round(remove * linear)
    assert sum(name.endswith(".rows") for name in written) >= 2 * config.num_hidden_layers


# --- killed --------------------------------------------------------------------------------------------------------

KILLED = """
import os, random, signal, sys, time
from pathlib import Path
from infimum import compress

model, ids, work = sys.argv[1], sys.argv[2], Path(sys.argv[3])
out = work / "out"

def run(until=None):
    start = time.monotonic()
    if (pid := os.fork()) == 0:
        plan = compress.plan(model, remove=0.2, calib=ids, menu=("ranks", "widths"))
        (work / "saving").touch()
        plan.save(out)
        os._exit(0)
    if until is not None:
        while not (until[0] == "run" or (work / "saving").exists()):
            time.sleep(0.001)
        time.sleep(until[1])
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    saving = (work / "saving").stat().st_mtime if (work / "saving").exists() else None
    (work / "saving").unlink(missing_ok=True)
    return time.monotonic() - start, saving and time.time() - saving

def check():
    if (pid := os.fork()) == 0:
        compress.verify(out)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0, "the output does not verify"

def clear():
    for path in sorted(out.rglob("*"), reverse=True):
        path.unlink()
    out.rmdir()

whole, saving = run()
check()
clear()
moments = random.Random(0)
complete = left = 0
for index in range(20):
    run(("run", moments.uniform(0, whole)) if index % 2 else ("saving", moments.uniform(0, saving)))
    left += bool(list(work.glob(".out.infimum-partial-*")))
    if out.exists():
        complete += 1
        check()
        clear()
run()
check()
print(complete, left)
"""


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path) -> None:
    """What is left is nothing, or a complete output; and what lies about is removed by the next run."""
    folder = make_checkpoint(tmp_path / "model", llama(blocks=4, hidden=128, intermediate=256))
    (tmp_path / "work").mkdir()
    (tmp_path / "scratch").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, folder, tmp_path / "ids.npy", tmp_path / "work"],
        env=os.environ | {"TMPDIR": str(tmp_path / "scratch"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    complete, left = map(int, done.stdout.split())
    print(f"{20 - complete} of 20 killed before the end, {left} while they wrote")
    assert 20 - complete >= 10
    assert left >= 1
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["out"]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_abandoned_folders_are_removed_and_those_in_use_are_not(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    used, lock = scratch.claim(tmp_path, "mine-")
    (used / "file").touch()
    mine, own = scratch.claim(tmp_path, "mine-")
    assert {path.name for path in tmp_path.iterdir()} == {used.name, mine.name, "other"}
    os.close(lock)  # as the end of its process does
    again, third = scratch.claim(tmp_path, "mine-")
    assert {path.name for path in tmp_path.iterdir()} == {mine.name, again.name, "other"}
    os.close(own)
    os.close(third)


def test_a_lock_that_another_process_holds_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "SILENCE", 0.05)
    monkeypatch.setattr(scratch, "PATIENCE", 0.3)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with (
        pytest.warns(UserWarning, match="waiting for another process"),
        pytest.raises(TimeoutError, match="lock") as caught,
    ):
        scratch.claim(tmp_path, "mine-")
    assert caught.value.filename == str(tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(scratch, "PATIENCE", 60.0)
    timer = threading.Timer(0.1, os.close, [descriptor])
    timer.start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder, own = scratch.claim(tmp_path, "mine-")
    timer.join()
    assert folder.is_dir()
    os.close(own)


@pytest.mark.parametrize("limit", [1000, 50_000])
def test_a_disk_that_is_full_ends_in_one_line(
    limit: int,
    bert: Path,
    text: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The scratch files do not fit, or the output does not."""
    for name in ("work", "scratch"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "scratch"))
    (tmp_path / "text.txt").write_text("\n\n".join(text))
    arguments = ["compress", bert, "--calib", tmp_path / "text.txt", "--no-compare", "-o", tmp_path / "work" / "out"]
    arguments += ["--menu", "ranks"]  # so that the output is larger than the limit
    with small_disk(limit):
        status = main(list(map(str, arguments)))
    said = capsys.readouterr().err
    assert status == 1, said
    assert len([line for line in said.splitlines() if line.startswith("error: ")]) == 1
    assert "Traceback" not in said
    assert list((tmp_path / "work").iterdir()) == list((tmp_path / "scratch").iterdir()) == []


def test_the_end_by_a_signal_leaves_nothing(bert: Path, tmp_path: Path) -> None:
    for name in ("work", "scratch"):
        (tmp_path / name).mkdir()
    main = "import sys; from infimum.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", main, "compress", bert, "--quiet", "-o", tmp_path / "work" / "out"]
    running = subprocess.Popen(
        list(map(str, command)),
        env=os.environ | {"TMPDIR": str(tmp_path / "scratch"), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    while running.poll() is None and not list((tmp_path / "scratch").rglob("*.safetensors")):
        time.sleep(0.01)
    running.terminate()
    _, said = running.communicate(timeout=300)
    assert running.returncode == 143, said
    assert list((tmp_path / "work").iterdir()) == list((tmp_path / "scratch").iterdir()) == []


def test_shelves_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    forms = FormShelf()
    form = FactorForm(torch.randn(5, 2).to(torch.bfloat16), torch.randn(2, 3).to(torch.bfloat16))
    forms["layer"] = form
    again = forms["layer"]
    assert isinstance(again, FactorForm)
    assert torch.equal(again.left, form.left)
    assert [(part.name, part.kind, part.shape) for part in forms.stored("layer")] == [
        ("left", "BF16", (5, 2)),
        ("right", "BF16", (2, 3)),
    ]
    assert len(list(tmp_path.iterdir())) == 1
    del forms
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_a_copy_in_a_forked_process_removes_nothing(tmp_path: Path) -> None:
    scratch._remove(tmp_path, os.open(tmp_path, os.O_RDONLY), os.getpid() + 1)
    assert tmp_path.is_dir()


# --- files ---------------------------------------------------------------------------------------------------------


def test_files_are_those_of_safetensors(tmp_path: Path) -> None:
    tensors = {
        "b": torch.randn(3, 5).to(torch.bfloat16),
        "order": torch.arange(7, dtype=torch.int32),
        "a": torch.randn(3),
        "double": torch.randn(2, 2, dtype=torch.float64),
        "scalar": torch.tensor(2.5),
        "nothing": torch.empty(0),
        "flags": torch.tensor([True, False, True]),
    }
    save_file(tensors, tmp_path / "theirs", metadata={"format": "pt"})
    write_file(tmp_path / "ours", [Stored.within(tmp_path / "theirs", name) for name in tensors])
    found = load_file(tmp_path / "ours")
    assert {k: (t.dtype, t.shape) for k, t in found.items()} == {k: (t.dtype, t.shape) for k, t in tensors.items()}
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
    assert (tmp_path / "ours").stat().st_size == (tmp_path / "theirs").stat().st_size


WITHOUT = """
import sys, torch, transformers, numba, scipy.linalg
sys.modules["fcntl"] = sys.modules["resource"] = None
from pathlib import Path
from infimum import _system, compress
from infimum.compress.measure.scratch import Shelf
shelf = Shelf()
shelf.put("x", {"x": torch.ones(2)})
assert shelf.get("x")["x"].sum() == 2
folder = shelf._folder
other = Shelf()
assert folder.is_dir()  # nobody can tell here that it is abandoned
del shelf, other
assert not folder.exists()
assert _system.peak_memory() == 0
"""


def test_a_system_without_locks() -> None:
    """As Windows: neither fcntl nor resource is there."""
    subprocess.run([sys.executable, "-c", WITHOUT], check=True, timeout=120)
