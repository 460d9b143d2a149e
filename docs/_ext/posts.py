"""The posts of Scientific Spaces that pages cite, by number: ``{post}`10757``` is a link with what the post is about.

They are written in Chinese; the titles here say in our words what each of them is about.
"""

from docutils import nodes
from docutils.parsers.rst.states import Inliner

TITLES = {
    8180: "Nyström attention",
    9336: "retrieval by CUR",
    9775: "N = ab + c with the least a + b + c",
    10366: "low rank 1, the pseudo-inverse",
    10407: "low rank 2, SVD",
    10427: "low rank 3, CR",
    10489: "VQ, the rotation trick",
    10501: "low rank 4, ID",
    10519: "VQ, one linear map of all codes",
    10662: "low rank 5, CUR",
    10757: "balanced experts by a bias",
    10815: "experts for a token as it needs them",
    10922: "the matrix sign by Newton-Schulz, 1",
    10945: "shared experts",
    10972: "minimax polynomials, equioscillation",
    10996: "the matrix sign by Newton-Schulz, 2",
    11175: "r-th roots of matrices",
    11459: "weight decay and learning rate as a moving average",
    11619: "quantile balancing",
    11626: "quantile balancing with thresholds",
}


def post(name, rawtext, text, lineno, inliner: Inliner, options=None, content=()):
    """Return the link to a post, with its title; a number that is not known is an error."""
    if not text.isdigit() or int(text) not in TITLES:
        message = inliner.reporter.error(f"no post {text} in docs/_ext/posts.py: add its title", line=lineno)
        return [inliner.problematic(rawtext, rawtext, message)], [message]
    label = f"Scientific Spaces {text}"
    link = nodes.reference(rawtext, label, refuri=f"https://kexue.fm/archives/{text}")
    return [link, nodes.Text(f" ({TITLES[int(text)]})")], []


def setup(app):
    """Register the role."""
    app.add_role("post", post)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
