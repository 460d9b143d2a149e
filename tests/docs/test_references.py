"""Words and numbers that pages use without saying what they are: posts have titles, and the glossary has its words."""

import re
from pathlib import Path

import pytest

from benchmarks import instead, records

ROOT = Path(__file__).parents[2]
PAGES = [path for path in (ROOT / "docs").rglob("*.md") if not {"_build", "_generated", "gallery"} & set(path.parts)]
CODE = [*(ROOT / "src").rglob("*.py"), *(ROOT / "examples").glob("*.py")]
TITLES = dict(
    re.findall(r'^    (\d+): "(.+)",$', (ROOT / "docs/_ext/posts.py").read_text(encoding="utf-8"), re.MULTILINE)
)
ADDRESS = re.compile(r"kexue\.fm/archives/(\d+)")


def test_pages_name_posts_by_the_role_that_knows_their_titles():
    texts = {path.name: path.read_text(encoding="utf-8") for path in PAGES}
    assert {name for name, text in texts.items() if ADDRESS.search(text)} == set()
    cited = {number for text in texts.values() for number in re.findall(r"\{post\}`(\w+)`", text)}
    assert cited
    assert cited <= set(TITLES)


def test_docstrings_name_posts_with_their_titles():
    without = []
    for path in CODE:
        text = " ".join(path.read_text(encoding="utf-8").split())
        for place in ADDRESS.finditer(text):
            near = text[max(0, place.start() - 100) : place.end() + 60]
            if place.group(1) in near.replace(place.group(0), "") and TITLES[place.group(1)] not in near:
                without.append((path.name, place.group(1)))
    assert without == []


def test_the_glossary_explains_words_that_other_pages_use():
    glossary = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```\{glossary\}\n(.*?)```", glossary, re.DOTALL)
    terms = [line for block in blocks for line in block.splitlines() if line and not line.startswith(" ")]
    assert {"room", "answer", "witness", "certificate", "rigour"} <= set(terms)
    assert len(set(terms)) == len(terms)
    others = " ".join(path.read_text(encoding="utf-8") for path in PAGES if path.name != "glossary.md")
    others += " ".join(path.read_text(encoding="utf-8") for path in CODE)
    others = " ".join(others.split()).lower()
    assert [term for term in terms if term.lower() not in others] == []


def test_every_example_has_a_picture_in_the_gallery():
    for path in (ROOT / "examples").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name.startswith("plot_"):  # run while the gallery is built: its first figure
            assert re.search(r"plt\.(subplots|figure)\(|\.plot\(", text)
        else:
            assert re.search('^# sphinx_gallery_thumbnail_path = "_(static|generated)/.+png"$', text, re.MULTILINE)


@pytest.mark.parametrize("case", instead.CASES, ids=lambda case: case.contender)
def test_cases_for_a_peer_stand_in_the_stored_results(case):
    peer, ours = instead.found(case, records.RESULTS)
    assert ours["ours"]
    assert not peer["ours"]
    assert peer["time_ratio"]["median"] < 1.0, "a slower peer is no case"
    line = next(line for line in instead.markdown(records.RESULTS).splitlines() if line.startswith(f"| {case.peer} |"))
    assert f"| {peer['time_ratio']['median']:.2g} |" in line
