"""``python run_readme.py README.md``: run the Python blocks of a document and compare what they print.

It needs nothing but the installed package, so that a bare environment can run it.
"""

import contextlib
import io
import re
import sys
from pathlib import Path

BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:```output\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def main(document):
    """Return 0 if the blocks run, in one namespace, and each prints what stands below it."""
    namespace, blocks = {"__name__": "__main__"}, BLOCK.findall(Path(document).read_text(encoding="utf-8"))
    for code, expected in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, document, "exec"), namespace)
        if expected and printed.getvalue() != expected:
            print(f"expected\n{expected}\ngot\n{printed.getvalue()}", file=sys.stderr)
            return 1
    print(f"{len(blocks)} block(s) of {document} ran as printed, Python {sys.version.split()[0]}")
    return 0 if blocks else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
