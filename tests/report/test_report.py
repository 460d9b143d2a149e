"""Reports: well-formed, self-contained, and the numbers are in them."""

import functools
import json
import re
from email.message import Message
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

import infimum
from infimum import report
from infimum.errors import OptionError, OutputError
from infimum.problems import PROBLEMS
from infimum.proof import wording
from infimum.proof.certificate import Certificate
from infimum.report import drawing, plain_text
from infimum.report.files import replacing
from infimum.report.plan import groups, kind_of
from tests.cli.tiny_model import make_tiny_model

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Structure(HTMLParser):
    """Collects ids and addresses; refuses tags that do not nest."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.addresses = [], [], []

    def handle_starttag(self, tag, attributes):
        self._note(attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self._note(attributes)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def _note(self, attributes):
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href", "action"):
                self.addresses.append(value)


def check_page(path, *, script=False):
    """Return the text of a report after looking at its structure; only a page with controls has a script, its own."""
    html = path.read_text(encoding="utf-8")
    page = Structure()
    page.feed(html)
    assert page.open == []
    assert len(set(page.ids)) == len(page.ids), "two elements share an id"
    assert all(address.startswith(("#", "data:")) for address in page.addresses)
    loaded = re.sub(
        r'<pre class="wrapped".*?</pre>', "", html, flags=re.DOTALL
    )  # the text of a theorem's page cites others
    assert not re.search(r"https?:|//[a-z]|@import", loaded)
    assert ("<script" in loaded) == script
    for target in re.findall(r"url\(#([^)]*)\)", html):
        assert target in page.ids
    for picture in re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL):
        ElementTree.fromstring(picture)
    assert "prefers-color-scheme: dark" in html
    assert html.count("<table") == html.count('<div class="scroll" tabindex="0">\n<table'), "what is wide scrolls"
    return html


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_every_problem(problem, tmp_path):
    case = problem.tiny(np.random.default_rng(0))
    result = problem.solve(*case.inputs, **case.options)
    path = report.write(result, tmp_path / "r.html", source="file.npy (5 x 6)", seconds=0.25, data=["file one.npy"])
    html = check_page(path)
    certificate = result.certificate
    for text in (wording.number(certificate.value), wording.number(certificate.lower_bound), certificate.theorem):
        assert text in html
    for text in (problem.name, "file.npy (5 x 6)", "0.25 s", infimum.__version__, np.__version__):
        assert text in html
    saved = tmp_path / "r.result.json"
    assert f"infimum verify {saved} &#39;file one.npy&#39;" in html
    assert infimum.from_json(saved.read_text()).certificate == certificate
    content = json.loads((tmp_path / "r.json").read_text())
    assert content["infimum_report"] == 1
    assert content["certificate"]["value"] == certificate.value
    assert content["certificate"]["lower_bound"] == certificate.lower_bound
    assert content["minimises"] == problem.minimises


def test_text_is_escaped(tmp_path):
    result = infimum.lowrank.svd(np.eye(3), rank=2)
    html = check_page(report.write(result, tmp_path / "r.html", source="<script>&.npy"))
    assert "&lt;script&gt;&amp;.npy" in html


def test_theorems_are_links_to_their_pages(tmp_path, monkeypatch):
    result = infimum.lowrank.svd(np.eye(3), rank=2)
    measured = infimum.memory.report(infimum.memory.lr_table("cosine", 50, peak=1e-3), 0.1)
    known = Message()
    monkeypatch.setattr("importlib.metadata.metadata", lambda _name: known)
    page = check_page(report.write(result, tmp_path / "without.html"))
    assert '<a href="#theorem"><code>eckart_young</code></a>' in page
    statement = re.search('<pre class="wrapped" id="theorem">(.*?)</pre>', page, re.DOTALL).group(1)
    assert "For every matrix $X$ of rank at most $k$" in statement
    assert plain_text.theorem_text("../theorems/eckart_young") == "", "a stranger's name leads nowhere"
    known["Project-URL"] = "Source, https://example.org/source"
    known["Project-URL"] = "Documentation, https://example.org/docs/"
    for subject, name in ((result, "eckart_young"), (measured, "unrolling")):
        page = report.write(subject, tmp_path / f"{name}.html").read_text()
        assert f'<a href="https://example.org/docs/theorems/{name}.html"><code>{name}</code></a>' in page


def test_a_result_that_no_file_can_hold_is_reported_without_one(tmp_path):
    result = infimum.minimax.polynomial("exp(x)", 2, weight=lambda x: 1.0 + x**2)
    page = check_page(report.write(result, tmp_path / "r.html"))
    assert "infimum.verify(result, f)" in page
    assert "from_json" not in page
    assert not (tmp_path / "r.result.json").exists()


def test_zero_loss_and_trivial_bound(tmp_path):
    exact = infimum.lowrank.svd(np.zeros((3, 3)), rank=1)
    assert "it is an optimum" in check_page(report.write(exact, tmp_path / "a.html"))
    assert wording.sentence(Certificate(2.0, 0.0, "t", "rounded")).endswith("0, could be proved.")
    assert wording.ratio(Certificate(2.0, 0.0, "t", "rounded")) == "unbounded"


@pytest.mark.parametrize(
    ("value", "bound", "text"),
    [
        (4, 4, "it is an optimum"),
        (2.0, 1.0, "at most 1 (50 % of the value) could still be gained"),
        (1.0 + 1e-12, 1.0, "optimal up to rounding"),
        (1.0 + 1e-8, 1.0, "(1e-06 % of the value)"),
        (-1.0, -2.0, "at most 1 (100 % of the value)"),
    ],
)
def test_claims(value, bound, text):
    assert text in wording.sentence(Certificate(value, bound, "t", "rounded"))


def test_claims_name_their_probability():
    text = wording.sentence(Certificate(2.0, 1.0, "t", "probable", 1 - 1e-6))
    assert "With probability 1 - 1e-06, no admissible answer can be better than 1" in text


def test_numbers_in_words():
    assert wording.number(1234567) == "1,234,567"
    assert wording.number(0.1234567) == "0.123457"
    assert wording.ratio(Certificate(1.0 + 1e-9, 1.0, "t", "rounded")) == "1 + 1.0e-09"
    assert wording.rigour(Certificate(1.0, 0.5, "t", "probable", 1 - 1e-6)) == "probable, confidence 1 - 1e-06"
    assert [plain_text.size(count) for count in (12, 90868376, 5e9)] == ["12 B", "90.87 MB", "5 GB"]


def test_nothing_is_overwritten_or_half_written(tmp_path, monkeypatch):
    result = infimum.lowrank.svd(np.diag([3.0, 2.0, 1.0]), rank=1)
    path = report.write(result, tmp_path / "r.html")
    before = path.read_bytes()
    with pytest.raises(OutputError, match="exists"):
        report.write(result, path)
    assert report.write(result, path, overwrite=True).read_bytes() == before, "the same result gives the same page"
    (tmp_path / "t.json").write_text("mine")
    with pytest.raises(OutputError, match=r"t\.json exists"):
        report.write(result, tmp_path / "t.html")
    for bad, error in (("r.txt", OptionError), ("nowhere/r.html", OutputError)):
        with pytest.raises(error):
            report.write(result, tmp_path / bad)

    def fail(_self, _axes):
        raise RuntimeError("no picture")

    monkeypatch.setattr(type(result), "plot", fail)
    with pytest.raises(RuntimeError, match="no picture"):
        report.write(result, tmp_path / "new.html")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["r.html", "r.json", "r.result.json", "t.json"]


def test_replacing(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def stop_midway():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        stop_midway()
    assert path.read_text() == "old"
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert [item.name for item in tmp_path.iterdir()] == ["a.txt"]


def test_pictures_do_not_clash():
    def line(axes, k):
        axes.plot([0, k], [k, 0])

    pictures = [drawing.svg(functools.partial(line, k=k)) for k in (1, 2)]
    ids = [set(re.findall(r'\bid="([^"]*)"', picture)) for picture in pictures]
    assert not ids[0] & ids[1]
    assert all("currentColor" in picture and drawing.INK not in picture for picture in pictures)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("encoder.layer.11.output.dense", "encoder.layer.*.output.dense"),
        ("model.layers.0.mlp.experts.3.w1", "model.layers.*.mlp.experts.*.w1"),
        ("pooler.dense2", "pooler.dense2"),
    ],
)
def test_kinds_of_layers(name, kind):
    assert kind_of(name) == kind


def test_plan(tmp_path):
    from infimum import compress
    from infimum.compress.measure.text import python_documentation
    from infimum.report.plan import Comparison

    model = make_tiny_model(tmp_path / "model")
    plan = compress.plan(model, remove=0.25, calib=python_documentation(held_out=False)[:40], menu=("ranks",))
    plan.save(tmp_path / "out")
    rows = [Comparison("ours", 0.25, compress.Similarity(0.98765, 0.9, 20, 640), chosen=True)]
    details = {"out": tmp_path / "out", "comparisons": rows, "held_out": "other topics", "seconds": 1.5}
    html = check_page(report.write(plan, tmp_path / "r.html", **details))
    content = json.loads((tmp_path / "r.json").read_text())
    certificate = plan.certificate
    for text in (
        wording.number(certificate.value),
        wording.number(certificate.lower_bound),
        wording.number(plan.multiplier),
        f"{plan.linear_size - plan.removed:,}",
        plan.moments.tokens.sha256,
        *plan.checkpoint.sha256.values(),
        "0.9877",
        "other topics",
        "It does not speak of accuracy",
        f"infimum verify {tmp_path / 'out'}",
        *(row.name for row in plan.table),
    ):
        assert text in html
    assert len(content["layers"]) == len(plan.table)
    assert sum(group.layers for group in groups(plan.table)) == len(plan.table)
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (model, tmp_path / "out")]
    assert list(content["bytes"].values()) == sizes
    assert content["curve"][0][0] == pytest.approx(0.0)
    assert all(bound <= error for _, error, bound in content["curve"])
