"""``infimum verify``: derive every claim again from the input, and compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import infimum
from infimum import problems
from infimum.cli import screen
from infimum.cli.formats.opening import opened
from infimum.cli.names import names_of, require_names
from infimum.cli.problem_command import arguments_of, bare
from infimum.cli.screen import LOUD, Talk
from infimum.cli.words import SEED
from infimum.errors import FileFormatError, OptionError, VerificationError
from infimum.proof.certificate import Certificate
from infimum.proof.checkpoint import read_description


def verify(
    out: Annotated[Path, Parameter(name="OUT")],
    /,
    *data: Annotated[str, Parameter(name="FILE")],
    original: Path | None = None,
    seed: Annotated[int | None, SEED] = None,
    talk: Talk = LOUD,
) -> int:
    """Derive the claims of a result or of a compressed model again, and compare. No solver takes part.

    infimum verify RESULT.json FILE: a result that a problem command wrote with --json, and the file that it solved;
    - for one of them is standard input.
    infimum verify OUT: a folder that infimum compress wrote; every error and bound is recomputed from the original.

    Parameters
    ----------
    out
        RESULT.json, or the folder of a compressed model.
    data
        The input of the problem, as it was given to the solver.
    original
        Folder of the original model, if it is not where it was.
    seed
        Draw anew, from this seed, the random numbers of a probable bound or a sampled value: two seeds are two checks.
        By default they follow from the result.
    """
    with screen.progress("verifying", talk) as on_progress:
        if out.is_dir():
            if seed is not None:
                raise OptionError(f"--seed belongs to a result, and {out} is a model folder: its check draws nothing")
            if data:
                raise OptionError(f"{out} is a model folder and needs no FILE; --original names the original model")
            read_description(out)  # what is no such folder is told before transformers is imported
            from infimum import compress

            certificate = compress.verify(out, original, on_progress=on_progress)
        elif original is not None:
            raise OptionError(f"--original belongs to a model folder, and {out} is none")
        else:
            certificate = _verify_result(out, data, seed)
    if not talk.quiet:
        console = screen.console()
        console.print(f"{out} proves what it claims.", style="bold green")
        rows = screen.certificate_rows(certificate)
        for name, digest in certificate.witness.get("original", {}).items() if out.is_dir() else ():
            rows[f"original {name}"] = f"SHA-256 {digest}"
        console.print(screen.facts(rows))
    return 0


def _verify_result(path: Path, data: tuple[str, ...], seed: int | None) -> Certificate:
    with opened(str(path)) as file:
        try:
            text = file.path.read_text(encoding="utf-8")
            result = infimum.from_json(text)
        except (UnicodeDecodeError, FileFormatError) as error:
            raise FileFormatError(f"{file} is no result as --json wrote it: {error}") from error
    problem = problems.problem_of(result)
    if len(data) != len(problem.inputs):
        raise VerificationError(
            f"{path} is a result of {problem.name}: give its input ({', '.join(problem.inputs)}) after it, "
            f"got {len(data)} file(s)"
        )
    arguments = arguments_of(problem)
    inputs = [arguments[name].read(token) for name, token in zip(problem.inputs, data, strict=True)]
    certificate = infimum.verify(result, *map(bare, inputs), rng=seed)
    require_names(text, names_of(problem, result, inputs))
    return certificate
