"""How much the left moments of layers are damped where ranks and widths alone are in the menu: judged, and checked."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from infimum import compress  # noqa: E402
from infimum.compress.menu.ranks import Damping, shrunk  # noqa: E402
from infimum.compress.search.dampings import LEFT, RIGHT  # noqa: E402
from infimum.errors import OptionError  # noqa: E402
from tests.compress.conftest import sentences, tiny_llama, write  # noqa: E402
from tests.compress.test_forgeries import put, refused, seal  # noqa: E402


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> compress.Plan:
    folder = write(tiny_llama(), tmp_path_factory.mktemp("dampings") / "llama")
    return compress.plan(folder, remove=0.3, menu=("ranks", "widths"), calib=sentences(60, seed=1))


@pytest.fixture(scope="module")
def output(plan: compress.Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plan.save(tmp_path_factory.mktemp("dampings-out") / "out")


def test_two_halves_have_the_moments_of_the_whole(plan: compress.Plan) -> None:
    whole = compress.calibrate(plan.checkpoint, sentences(60, seed=1))
    assert whole.tokens.sha256 == plan.moments.tokens.sha256
    for name, once in whole.layers.items():
        merged = plan.moments.whole(name)
        for part in ("inputs", "right", "left", "gradient"):
            one, other = getattr(merged, part), getattr(once, part)
            # batches of other sizes round otherwise, by so much of the largest entry
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6 * float(np.max(np.abs(other))))


def test_halves_of_an_encoder_weigh_by_their_rows(bert: Path) -> None:
    checkpoint = compress.open_checkpoint(bert)
    moments = compress.calibrate(checkpoint, sentences(30, seed=1), split=True)
    assert moments.judge is not None
    rows = [len(half.ids) for half in moments.tokens.halves()]
    for name in (layer.name for layer in checkpoint.layers if layer.name in moments.layers):
        made, judge, whole = moments.layers[name], moments.judge[name], moments.whole(name)
        np.testing.assert_allclose(whole.right * sum(rows), made.right * rows[0] + judge.right * rows[1], rtol=1e-6)
        assert np.trace(whole.left) == pytest.approx(1.0)
        # D D' and D' D have one trace: the left moments of the halves weigh as these do
        parts = [count * np.trace(half.right) * half.left for count, half in zip(rows, (made, judge), strict=True)]
        np.testing.assert_allclose(whole.left * sum(map(np.trace, parts)), sum(parts), rtol=1e-6)


def own_trial(plan: compress.Plan, name: str, damping: Damping, *, width: bool) -> tuple[float, float]:
    """What each half makes of a layer, as the other sees it and in its own norm; by SVD, or by a least-squares fit."""
    (layer,) = (each for each in plan.checkpoint.layers if each.name == name)
    W = plan.checkpoint.weight(layer).double().numpy()
    m, n = W.shape
    assert plan.moments.judge is not None
    halves, seen, own = (plan.moments.layers[name], plan.moments.judge[name]), 0.0, 0.0
    for made, judge in (halves, halves[::-1]):
        C = made.right + damping.right * np.trace(made.right) / n * np.eye(n)
        G, root = shrunk(made.left, damping.left), np.linalg.cholesky(C)
        if width:
            kept, fit = np.sort(plan.orders[name][: 3 * n // 4]), np.zeros((m, n))
            fit[:, kept] = np.linalg.lstsq(root[kept].T, (W @ root).T, rcond=None)[0].T
        else:
            rank = max(r for r in range(1, min(m, n)) if r * (m + n - r) <= 0.75 * m * n)
            left = np.linalg.cholesky(G)
            U, s, V = np.linalg.svd(left.T @ W @ root)
            fit = np.linalg.solve(left.T, U[:, :rank] * s[:rank]) @ np.linalg.solve(root.T, V[:rank].T).T
        seen += float(np.trace(judge.left @ (W - fit) @ judge.right @ (W - fit).T))
        own += float(np.trace(G @ (W - fit) @ C @ (W - fit).T))
    return seen, own


def test_the_other_half_chooses(plan: compress.Plan) -> None:
    dampings: Any = plan.settings.damping
    assert len({damping[:2] for damping in dampings.values()}) > 1
    for name, damping in dampings.items():
        narrows = name.endswith("down_proj")
        rights = [own_trial(plan, name, Damping(right, LEFT[0]), width=narrows)[0] for right in RIGHT]
        lefts = [own_trial(plan, name, Damping(damping.right, left), width=False)[0] for left in LEFT]
        assert rights[RIGHT.index(damping.right)] <= min(rights) * (1.0 + 1e-6)
        assert lefts[LEFT.index(damping.left)] <= min(lefts) * (1.0 + 1e-6)
        seen, own = own_trial(plan, name, damping, width=narrows)
        assert damping.scale == pytest.approx(seen / own, rel=1e-6)


def test_narrower_layers_are_damped_more(plan: compress.Plan) -> None:
    """Their repair is a regression on inputs that this text has by chance."""
    dampings: Any = plan.settings.damping
    for name in dampings:
        if name.endswith("down_proj"):
            little, much = (own_trial(plan, name, Damping(right, 0.25), width=True)[0] for right in (1e-6, 1.0))
            assert much < little
            assert dampings[name].right >= 0.1


def test_moments_that_were_not_split_have_one_damping(bert: Path, text: list[str]) -> None:
    moments = compress.calibrate(bert, text)
    assert compress.plan(bert, menu=("ranks",), moments=moments).settings.damping == 0.01
    assert compress.plan(bert, menu=("ranks",), moments=moments, damping=0.5).settings.damping == 0.5
    with pytest.raises(OptionError, match="damping must be above 0 and at most 1000"):
        compress.plan(bert, menu=("ranks",), moments=moments, damping=1e4)


def test_a_damped_moment_is_definite_and_keeps_its_size() -> None:
    rng = np.random.default_rng(0)
    A = rng.standard_normal((6, 3))
    A[2] = 0.0  # an output without gradients
    for damping in LEFT:
        M = shrunk(A @ A.T, damping)
        assert np.linalg.eigvalsh(M).min() > 0.0
        assert np.trace(M) == pytest.approx(np.trace(A @ A.T), rel=0.01)
    np.testing.assert_array_equal(shrunk(A @ A.T, 0.0), A @ A.T)


def every(change: Callable[[list[Any]], object]) -> Callable[[dict[str, Any]], object]:
    """Change the dampings of all layers."""
    return lambda said: [change(damping) for damping in said["settings"]["damping"].values()]


FORGED: dict[str, Callable[[dict[str, Any]], object]] = {
    "a layer less": lambda d: d["settings"]["damping"].popitem(),
    "a layer more": put("settings", "damping", "lm_head", value=[1.0, 1.0, 1.0]),
    "text": every(lambda damping: damping.__setitem__(0, "1.0")),
    "none on the left": every(lambda damping: damping.__setitem__(1, 0.0)),
    "endless": every(lambda damping: damping.__setitem__(0, 1e308)),
    "others on the right": every(lambda damping: damping.__setitem__(0, 0.7)),
    "others on the left": every(lambda damping: damping.__setitem__(1, 0.7)),
    "a smaller scale": every(lambda damping: damping.__setitem__(2, 0.999 * damping[2])),
    "a larger scale": every(lambda damping: damping.__setitem__(2, 1.001 * damping[2])),
    "two numbers": every(lambda damping: damping.pop()),
    "one for all": put("settings", "damping", value=0.03),
    "a list": put("settings", "damping", value=[1.0]),
    "moments that were not split": lambda d: d["calibration"].update(split=False),
}


@pytest.mark.parametrize("name", FORGED)
def test_other_dampings_are_refused(output: Path, name: str, tmp_path: Path) -> None:
    refused(seal(Path(shutil.copytree(output, tmp_path / "out")), FORGED[name]))


def test_the_output_is_verified(plan: compress.Plan, output: Path) -> None:
    again = compress.verify(output)
    assert plan.certificate.lower_bound <= again.lower_bound <= again.value <= plan.certificate.value
