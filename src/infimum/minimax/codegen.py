"""Source code that evaluates a polynomial or a quotient, with its errors stated: C, NumPy, PyTorch and Triton."""

from __future__ import annotations

import decimal
import keyword
import math
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Literal, TypeAlias

from infimum._arguments import one_of, whole_number
from infimum.errors import OptionError, RangeError
from infimum.minimax.formats.forms import (
    FORMS,
    Domain,
    Operand,
    Operation,
    Step,
    program,
    quotient_program,
    written_out,
)
from infimum.minimax.formats.straight_line import EvaluationError, evaluation_error
from infimum.proof.answers.source_code import Emitter, Scheme
from infimum.proof.enclosure.machine_formats import Format, as_format
from infimum.proof.evidence import shown

Language = Literal["c", "numpy", "torch", "triton"]
Parts: TypeAlias = tuple[dict[Any, Fraction], ...]

C_TYPES = {"float32": ("float", "f"), "float64": ("double", "")}
WORDS = """x y q t s np tl torch triton
auto break case char const continue default do double else enum extern float for goto if inline int long register
restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
alignas alignof asm bool constexpr false nullptr static_assert thread_local true typeof typeof_unqual
and and_eq bitand bitor catch char16_t char32_t char8_t class co_await co_return co_yield compl concept const_cast
consteval constinit decltype delete dynamic_cast explicit export friend mutable namespace new noexcept not not_eq
operator or or_eq private protected public reinterpret_cast requires static_cast template this throw try typeid
typename using virtual wchar_t xor xor_eq"""
LIBRARY = """
acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 fabs fdim floor fma
fmax fmin fmod frexp hypot ilogb ldexp lgamma llrint llround log log10 log1p log2 logb lrint lround modf nan nearbyint
nextafter pow remainder remquo rint round scalbln scalbn sin sinh sqrt tan tanh tgamma trunc"""
OTHERS = """main abs labs div exit free malloc calloc realloc printf scanf puts getchar putchar rand srand signal raise
mask n offsets x_ptr y_ptr BLOCK"""
TAKEN = frozenset(  # the code's own names, the keywords of C and C++, and functions of C that a compiler knows
    [*WORDS.split(), *OTHERS.split(), *(name + suffix for name in LIBRARY.split() for suffix in ("", "f", "l"))]
)
PLAIN = ("horner", "estrin")
MOST_CHANGED = 128  # degree up to which other forms are tried: a change of basis in rational numbers takes its time
BETTER = 0.9  # of the total error: what a form with more operations has to reach
MOST_POWERS = 4096  # between the lowest and the highest power: one operation each
READABLE = frozenset(map(chr, range(32, 127))) - {"\\", '"', "?"}  # what a comment of C or Python may hold


def _parts(subject: Emitter) -> tuple[Parts, Domain]:
    """Return coefficients and domain of a polynomial or quotient; it may have been read from a file, unchecked."""
    parts = subject.parts_of_code()
    for part in parts:
        powers = [whole_number("a power of x", power, 0) for power in part]
        if not powers or max(powers) - min(powers) >= MOST_POWERS:
            raise OptionError(f"powers must be within {MOST_POWERS} of each other, got {shown(powers)}")
    for interval in subject.domain:
        inside = len(interval) == 2 and all(isinstance(end, float | int) for end in interval)
        if not inside or not -math.inf < interval[0] < interval[1] < math.inf:
            raise OptionError(f"the domain must be intervals of finite floats, got {shown(interval)}")
    return parts, subject.domain


def best_form(
    parts: Parts, domain: Domain, scheme: Scheme, machine: Format, value: float, *, relative: bool
) -> tuple[str, list[Step], EvaluationError]:
    """Return a form, its program and its error; "auto" is the form whose total error, with `value`, is least.

    One with more operations has to be better by a tenth; where the error is relative, one that has such a bound is.
    """
    one_of("scheme", scheme, ("auto", *FORMS))
    forms = tuple(FORMS) if scheme == "auto" else (scheme,)
    if scheme == "auto" and max(max(part) for part in parts) > MOST_CHANGED:
        forms = PLAIN
    best: tuple[bool, float, str, list[Step], EvaluationError] | None = None
    refusals: list[RangeError] = []
    for form in forms:
        try:
            if len(parts) == 1:
                steps = program(parts[0], form, domain, machine)
            else:
                steps = quotient_program(parts[0], parts[1], form, domain, machine)
            found = evaluation_error(steps, domain, machine.name)
        except RangeError as refusal:
            refusals.append(refusal)
            continue
        unknown = relative and not math.isfinite(found.relative)
        total = value + (found.relative if relative and not unknown else found.absolute)
        if best is None or unknown < best[0] or (unknown == best[0] and total < BETTER * best[1]):
            best = unknown, total, form, steps, found
    if best is None:
        raise refusals[0]
    return best[2:]


def _form_of(subject: Emitter, scheme: Scheme, machine: Format) -> tuple[str, list[Step], EvaluationError]:
    parts, domain = _parts(subject)
    return best_form(parts, domain, scheme, machine, subject.certificate.value, relative=subject.relative)


def generate(
    subject: Emitter, language: Language, dtype: object, scheme: Scheme, name: str, *, decimals: bool = False
) -> str:
    """Write a polynomial as a function in a language; see `Emitter`."""
    machine = as_format(dtype)
    allowed = {"c": ("float32", "float64"), "numpy": ("float16", "float32", "float64")}.get(language)
    if allowed is not None and machine.name not in allowed:
        raise OptionError(f"{language} has no {machine.name}: take one of {', '.join(allowed)}, or PyTorch or Triton")
    _check_name(name)
    form, steps, found = _form_of(subject, scheme, machine)
    operations = written_out(steps)
    if language == "triton" and machine.bits < 24 and any(operation.divides for operation in operations):
        raise OptionError(f"Triton divides in float32 and float64 alone, got {machine.name}")
    lines = [readable(line) for line in comment(subject, machine.name, FORMS[form], found)]
    if decimals:
        return _c(name, operations, machine.name, lines, decimals=True)
    return WRITERS[language](name, operations, machine.name, lines)


def _check_name(name: object) -> None:
    """Refuse what is no name of a function in C and Python, or belongs to the languages or to the code itself."""
    text = name if isinstance(name, str) else ""
    reserved = keyword.iskeyword(text) or text in TAKEN or re.match("_[_A-Z]", text)
    if reserved or not (text.isidentifier() and text.isascii()):
        raise OptionError(f"name must be an identifier of C and Python that the code does not use, got {shown(name)}")


def readable(text: str) -> str:
    """Spell out what could end a comment or docstring, continue a line, or change how a reader sees it."""
    spelled = "".join(c if c in READABLE else f"<U+{ord(c):04X}>" for c in text)
    return spelled.replace("*/", "* /").replace("/*", "/ *")


def rounding_of(subject: Emitter, dtype: object, scheme: Scheme) -> EvaluationError:
    """Bound what rounding adds when a polynomial is evaluated in a format."""
    return _form_of(subject, scheme, as_format(dtype))[2]


def comment(subject: Emitter, dtype: str, form: str, found: EvaluationError) -> list[str]:
    """Say what is computed, how near it is to the function, and what rounding adds."""
    loss = "|f - p| / |f|" if subject.relative else "|f - p|"
    weighted = f"w {loss} with w = {subject.weight}" if isinstance(subject.weight, str) else f"w {loss}"
    error, certificate = loss if subject.weight is None else weighted, subject.certificate
    reached = f"{error} <= {_upwards(certificate.value)} (proven)"
    if certificate.rigour == "sampled":
        reached = f"the largest {error} of samples is {_upwards(certificate.value)}, nothing is proven between them"
    kind = "polynomial" if len(subject.parts_of_code()) == 1 else "quotient"
    where = " and ".join(f"[{low!r}, {high!r}]" for low, high in subject.domain)
    lines = [
        f"p(x) for f(x) = {subject.f} on {where}, by infimum.minimax.",
        f"Approximation: {reached}.",
        f"No such {kind} gets below {_downwards(certificate.lower_bound)}.",
        f"Rounding ({form} in {dtype}): |computed - p(x)| <= {_upwards(found.absolute)},",
    ]
    if found.relative < 1.0:
        underflow = f" + {_upwards(found.underflow)}" if found.underflow else ""
        lines.append(f"and <= {_upwards(found.relative)} |p(x)|{underflow},")
    lines.append("for every x of the format in the domain, with or without fused multiply-add,")
    lines.append("and where subnormal numbers are taken for 0.")
    return [*lines, *_total_error(subject, dtype, found)]


def _total_error(subject: Emitter, dtype: str, found: EvaluationError) -> list[str]:
    """Say how far what is computed is from f, where that is proven and no weight is in the way."""
    certificate = subject.certificate
    if subject.weight is not None or certificate.rigour != "enclosed":
        return []
    if not subject.relative:
        total = Fraction(certificate.value) + Fraction(found.absolute)
        return [f"Total: |computed - f(x)| <= {_upwards(total)} (proven)."]
    if not math.isfinite(found.relative):
        return []
    value, rounding = Fraction(certificate.value), Fraction(found.relative)
    total = value + rounding * (1 + value)
    underflow = f" + {_upwards(found.underflow)}" if found.underflow else ""
    ulp = _upwards(total * 2 ** as_format(dtype).bits)
    return [f"Total: |computed - f(x)| <= {_upwards(total)} |f(x)|{underflow} (proven), {ulp} units in the last place."]


def _upwards(number: float | Fraction) -> str:
    """Write three digits of a bound, no smaller than it is."""
    return _digits(number, decimal.ROUND_CEILING)


def _downwards(number: float | Fraction) -> str:
    return _digits(number, decimal.ROUND_FLOOR)


def _digits(number: float | Fraction, rounding: str) -> str:
    context, exact = decimal.Context(prec=3, rounding=rounding), Fraction(number)
    digits, _, exponent = f"{context.divide(exact.numerator, exact.denominator):.2e}".partition("e")
    return f"{digits}e{int(exponent):+03d}"


def _expression(operation: Operation, constant: Callable[[Fraction], str], divide: str = "{} / {}") -> str:
    def text(item: Operand) -> str:
        return item if isinstance(item, str) else constant(item)

    if operation.divides:
        return divide.format(text(operation.factor), text(operation.by))
    plus = operation.plus
    if operation.factor == -1 and plus is not None:
        return f"{text(plus)} - {text(operation.by)}"
    product = text(operation.factor) if operation.by == 1 else f"{text(operation.factor)} * {text(operation.by)}"
    if plus is None:
        return product
    return f"{product} - {text(-plus)}" if isinstance(plus, Fraction) and plus < 0 else f"{product} + {text(plus)}"


def _c(name: str, operations: Sequence[Operation], dtype: str, lines: list[str], *, decimals: bool = False) -> str:
    kind, suffix = C_TYPES[dtype]
    machine = as_format(dtype)

    def constant(number: Fraction) -> str:
        value = float(machine.round(number))
        if decimals:  # as many digits as tell all numbers of the format apart
            text = f"{value:.{9 if dtype == 'float32' else 17}g}"
            return f"{text if set('.e') & set(text) else text + '.0'}{suffix}"
        digits, _, exponent = value.hex().partition("p")
        return f"{digits.rstrip('0').rstrip('.')}p{exponent}{suffix}"

    declared: set[str] = set()
    body = []
    for operation in operations:
        new = "" if operation.target in declared else f"{kind} "
        declared.add(operation.target)
        body.append(f"    {new}{operation.target} = {_expression(operation, constant)};")
    text = "\n".join([f"/* {lines[0]}", *(f"   {line}" for line in lines[1:])])
    return "\n".join([f"{text} */", f"static inline {kind} {name}({kind} x)", "{", *body, "    return y;", "}", ""])


def _python(head: Sequence[str], name: str, lines: list[str], start: Sequence[str], body: Sequence[str]) -> str:
    documentation = [f'    """{lines[0]}', "", *(f"    {line}" for line in lines[1:]), '    """']
    inner = [f"    {line}" for line in (*start, *body)]
    return "\n".join([*head, f"def {name}(x):", *documentation, *inner, "    return y", ""])


def _body(operations: Sequence[Operation], constant: Callable[[Fraction], str], divide: str = "{} / {}") -> list[str]:
    return [f"{operation.target} = {_expression(operation, constant, divide)}" for operation in operations]


def _numpy(name: str, operations: Sequence[Operation], dtype: str, lines: list[str]) -> str:
    machine = as_format(dtype)
    body = _body(operations, lambda number: f"np.{dtype}({float(machine.round(number))!r})")
    return _python(["import numpy as np", "", ""], name, lines, [f"x = np.asarray(x, dtype=np.{dtype})"], body)


def _torch(name: str, operations: Sequence[Operation], dtype: str, lines: list[str]) -> str:
    machine = as_format(dtype)
    body = _body(operations, lambda number: repr(float(machine.round(number))))
    return _python(["import torch", "", ""], name, lines, [f"x = x.to(torch.{dtype})"], body)


def _triton(name: str, operations: Sequence[Operation], dtype: str, lines: list[str]) -> str:
    machine = as_format(dtype)

    def constant(number: Fraction) -> str:
        value = repr(float(machine.round(number)))
        # a bare number in Triton is a float32
        return f"tl.full((), {value}, tl.float64)" if dtype == "float64" else value

    # in float32 a plain quotient is off by two units in the last place
    divide = "{} / {}" if dtype == "float64" else "tl.div_rn({}, {})"
    head = ["import triton", "import triton.language as tl", "", "", "@triton.jit"]
    function = _python(head, name, lines, [f"x = x.to(tl.{dtype})"], _body(operations, constant, divide))
    kernel = [
        "",
        "",
        "@triton.jit",
        f"def {name}_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):",
        f'    """Apply `{name}` to n numbers."""',
        "    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)",
        "    mask = offsets < n",
        f"    tl.store(y_ptr + offsets, {name}(tl.load(x_ptr + offsets, mask=mask)), mask=mask)",
        "",
    ]
    return function + "\n".join(kernel)


WRITERS: dict[str, Callable[[str, Sequence[Operation], str, list[str]], str]] = {
    "c": _c,
    "numpy": _numpy,
    "torch": _torch,
    "triton": _triton,
}
