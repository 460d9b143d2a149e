"""Render formulas as MathML at build time, with the converter that docutils carries.

Sphinx's own renderers load a script from the network or call LaTeX. MathML needs neither and every current browser
draws it; a formula that the converter does not know is a warning, which the build treats as an error.
"""

import re

from docutils.nodes import SkipNode
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

logger = logging.getLogger(__name__)
TOKEN = r"(\\[a-zA-Z]+|[0-9a-zA-Z])"
ONE_ARGUMENT = re.compile(r"\\(bar|hat|tilde|vec|overline|underline|sqrt)(?![a-zA-Z])\s*" + TOKEN)
FIRST_OF_TWO = re.compile(r"\\([td]?frac)(?![a-zA-Z])\s*([0-9])")
SECOND_OF_TWO = re.compile(r"(\\[td]?frac\{[^{}]*\})\s*" + TOKEN)


def with_braces(text):
    r"""Put the braces that TeX can do without and the converter cannot: ``\tfrac12``, ``\bar\rho``; and its dots."""
    text = ONE_ARGUMENT.sub(r"\\\1{\2}", text)
    text = SECOND_OF_TWO.sub(r"\1{\2}", FIRST_OF_TWO.sub(r"\\\1{\2}", text))
    return re.sub(r"\\dots\b", r"\\ldots", text)


def convert(node, as_block):
    """Return the MathML of a math node."""
    try:
        text = tex2mathml(with_braces(node.astext()), as_block=as_block)
    except (MathError, SyntaxError, ValueError, KeyError) as error:
        logger.warning("formula not understood: %s (%s)", node.astext(), error, location=node)
        return f"<code>{node.astext()}</code>"
    # "rank X" needs the space that "rank(X)" does not
    text = re.sub(r"(<mo>&ApplyFunction;</mo>)(?!\s*<mo[^>]*>[(\[{])", r'\1<mspace width="0.17em"></mspace>', text)
    # vertical bars of a norm are brackets: without this they are spaced like operators
    return re.sub(r"<mo([^>]*)>([‖|∣])</mo>", r'<mo\1 lspace="0" rspace="0" stretchy="false">\2</mo>', text)


def visit_inline(translator, node):
    """Write a formula in a line of text."""
    translator.body.append(convert(node, as_block=False))
    raise SkipNode


def visit_block(translator, node):
    """Write a formula of its own."""
    translator.body.append(f'<div class="math">{convert(node, as_block=True)}</div>\n')
    raise SkipNode


def setup(app):
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
