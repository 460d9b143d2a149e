"""What people who carry on find beside the code: citation, forms, workflows, extras; they agree with the package."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import infimum
from infimum.errors import FalseCertificateError
from infimum.proof.certificate import Certificate

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def text(*parts):
    return ROOT.joinpath(*parts).read_text(encoding="utf-8")


def document(*parts):
    return yaml.safe_load(text(*parts))


def targets():
    return set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))


def commands(workflow):
    return [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]


def test_the_citation_is_of_this_version():
    citation = document("CITATION.cff")
    assert citation["version"] == infimum.__version__
    assert citation["license"] == PROJECT["license"]
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in PROJECT["authors"]]


def test_the_form_that_the_error_names_asks_for_the_json():
    with pytest.raises(FalseCertificateError, match="by the form 'False certificate'"):
        Certificate(1.0, 2.0, "eckart_young", "rounded")
    form = document(".github", "ISSUE_TEMPLATE", "false_certificate.yml")
    assert form["name"] == "False certificate"
    required = {item["id"] for item in form["body"] if item.get("validations", {}).get("required")}
    assert {"json", "input", "message", "versions"} <= required


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml")), ids=lambda p: p.stem)
def test_every_form_has_what_a_form_needs(path):
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    for item in form["body"]:
        assert item["type"] in ("markdown", "textarea", "input")
        assert (
            "value" in item["attributes"] if item["type"] == "markdown" else item["id"] and item["attributes"]["label"]
        )


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_run_what_is_there(path):
    for command in commands(yaml.safe_load(path.read_text(encoding="utf-8"))):
        for line in command.splitlines():
            if line.startswith("make "):
                assert set(line.split()[1:]) <= targets(), line
            for named in re.findall(r"\b(?:tests|src|docs)/[\w/.]+", line):
                assert (ROOT / named).exists(), line


def test_every_version_of_python_that_is_promised_is_tested():
    promised = {item.split()[-1] for item in PROJECT["classifiers"] if re.fullmatch(r".*:: 3\.\d+", item)}
    assert set(document(".github", "workflows", "ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]) == promised


def test_publishing_stores_no_password():
    publish = document(".github", "workflows", "release.yml")["jobs"]["publish"]
    assert publish["permissions"]["id-token"] == "write"
    assert "secrets." not in text(".github", "workflows", "release.yml")


def test_the_start_page_lists_every_extra():
    section = text("docs", "index.md").partition("## Extras")[2]
    assert set(re.findall(r"^\| `([\w-]+)` \|", section, re.MULTILINE)) == set(PROJECT["optional-dependencies"])


def test_types_are_published():
    assert (Path(infimum.__file__).parent / "py.typed").is_file()
    assert "Typing :: Typed" in PROJECT["classifiers"]
