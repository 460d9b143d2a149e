"""Arrays of any library: checking what came in, working precision, exact scaling, and the way to the host.

Nothing here imports PyTorch or any other array library but NumPy: libraries are recognised by the arrays themselves.
"""

from __future__ import annotations

import cmath
import math
from typing import Any, NamedTuple, Protocol, TypeAlias

import array_api_compat
import numpy as np

from infimum import _tables
from infimum._spread import at_hand, deciding, in_chunks, require_one_place, settled
from infimum.errors import DTypeError, LibraryError, NonFiniteError, RangeError, ShapeError

Array: TypeAlias = Any  # an array of any library of the array API standard


class HasShape(Protocol):
    """What arrays of all libraries have in common, for a type checker: enough to tell them from a name or a number."""

    @property
    def shape(self) -> tuple[int, ...]: ...


ArrayLike: TypeAlias = HasShape | list[Any] | tuple[Any, ...]  # what a caller may give for an array
Namespace: TypeAlias = Any
UNSCALED = 16  # powers of two within which entries are left as they are: even fourth powers fit single precision

_is_torch = array_api_compat.is_torch_array
_NUMPY = array_api_compat.array_namespace(np.empty(0))


class Working(NamedTuple):
    """An input, ready for arithmetic: ``original = array * 2**exponent`` up to the working precision.

    `array` is in the widest precision of its device (float64 nearly everywhere). Its largest entry is of ordinary size,
    from ``2**-UNSCALED`` to ``2**UNSCALED``, so that squares neither overflow nor vanish; where that of the original is
    nothing is scaled, and nothing copied. `eps` is the spacing of that precision, doubled for complex numbers, whose
    products round more often.
    """

    array: Array
    exponent: int
    eps: float
    xp: Namespace


def is_array(item: object) -> bool:
    """Tell whether `item` is an array of a library that follows the standard."""
    return bool(array_api_compat.is_array_api_obj(item)) and not isinstance(item, np.generic)


def is_sparse_tensor(item: object) -> bool:
    """Tell whether `item` is a tensor of PyTorch of which zeros are not stored."""
    return bool(_is_torch(item)) and str(getattr(item, "layout", "")) not in ("torch.strided", "")


def as_array(item: Any, name: str) -> Array:
    """Return `item` as an array: nested sequences and tables become NumPy arrays, tensors leave their graph."""
    if isinstance(item, list | tuple | np.generic | int | float | complex):
        item = np.asarray(item)
    if isinstance(item, np.ma.MaskedArray):
        raise LibraryError(
            f"{name} must be an array without a mask, since masked entries would count; give {name}.filled(value)"
        )
    if isinstance(item, np.ndarray):
        return np.asarray(item)  # a subclass, such as numpy.matrix, may multiply and reduce in ways of its own
    require_one_place(item, name)
    if not is_array(item):
        if _tables.is_table(item):
            return _tables.values(item, name)
        way = f"convert it first, for example with numpy.asarray({name})"
        if hasattr(item, "shape"):  # a matrix, but none that NumPy could look into
            filled = f"it has to be in memory: give {name}.toarray()"
            way = filled if hasattr(item, "toarray") else "bring it into memory"
        raise LibraryError(
            f"{name} must be an array (NumPy, PyTorch, CuPy, JAX, ...), got {type(item).__name__}; {way}"
        )
    if is_sparse_tensor(item):
        raise LibraryError(f"{name} must be a dense tensor, got one of layout {item.layout}: give {name}.to_dense()")
    return item.detach() if _is_torch(item) else item


def namespace(**arrays: Array) -> Namespace:
    """Return the common array namespace, Dask's for chunks and small matrices; refuse to mix libraries or devices."""
    for array in arrays.values():  # of a small matrix nothing is asked for as often: no generator, no list
        if type(array) is not np.ndarray:
            break
    else:
        return _NUMPY
    counted = deciding(arrays)
    try:
        xp = array_api_compat.array_namespace(*counted.values())
    except TypeError as error:
        kinds = ", ".join(f"{name}: {type(array).__name__}" for name, array in arrays.items())
        raise LibraryError(f"arrays of one library were expected, got {kinds}; convert them first") from error
    places = {name: str(array_api_compat.device(array)) for name, array in counted.items()}
    if len(set(places.values())) > 1:
        raise LibraryError(f"arrays on one device were expected, got {places}; move them first")
    return xp


def as_matrix(item: Any, name: str, *, besides: float | None = None) -> Array:
    """Return a finite, non-empty, real or complex floating matrix; integers become the default float type.

    `besides` is an infinity that entries may be as well.
    """
    array = as_floating_matrix(item, name)
    if besides is not None and not _sum_is_finite(array):
        xp = namespace(**{name: array})
        require_finite(xp.where(array == besides, xp.zeros_like(array), array), name)
    elif besides is None:
        require_finite(array, name)
    return array


def as_floating_matrix(item: Any, name: str) -> Array:
    """Return a matrix as `as_matrix` does, whose entries may still be infinite or NaN."""
    array = as_array(item, name)
    if array.ndim != 2 or 0 in array.shape:
        raise ShapeError(
            f"{name} must be a matrix with at least one row and one column, got shape {tuple(array.shape)}"
        )
    xp = namespace(**{name: array})
    if isinstance(array, np.ndarray) and array.dtype.fields:
        raise DTypeError(f"{name} must hold real or complex numbers, got dtype {array.dtype}; take one field first")
    if not is_floating(array):
        if xp.isdtype(array.dtype, ("bool", "integral")):
            return xp.astype(array, xp.asarray(1.0).dtype)
        raise DTypeError(f"{name} must hold real or complex numbers, got dtype {array.dtype}; convert it first")
    return array


def is_floating(array: Array) -> bool:
    """Tell whether the elements are real or complex floating-point numbers, 16-bit formats included."""
    if isinstance(array, np.ndarray):
        return array.dtype.kind in "fc"  # float16 lies outside the standard
    if _is_torch(array):
        return bool(array.is_floating_point() or array.is_complex())
    return bool(namespace(array=array).isdtype(array.dtype, ("real floating", "complex floating")))


def require_finite(array: Array, name: str) -> None:
    """Raise `NonFiniteError` if any element is NaN or infinite."""
    xp = namespace(**{name: array})
    if 0 in array.shape:
        return
    # a sum that overflows is no reason to refuse, so the ends are looked at then
    whole = not is_floating(array) or _sum_is_finite(array)
    if not (whole or all(math.isfinite(float(end(part))) for part in _real_parts(array) for end in (xp.min, xp.max))):
        finite = xp.isfinite(array)
        count = int(xp.sum(xp.astype(~finite, xp.int64)))
        raise NonFiniteError(
            f"{name} must be finite, but {count} of its {math.prod(array.shape)} entries are NaN or infinite; "
            "remove or replace them first"
        )


def _sum_is_finite(array: Array) -> bool:
    """Tell whether the sum of all entries, or of their squares, is finite: then every one of them is."""
    if math.isfinite(_squares(array)):
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        return cmath.isfinite(complex(namespace(array=array).sum(array)))


def is_complex(array: Array) -> bool:
    """Tell whether the elements are complex."""
    if isinstance(array, np.ndarray):
        return bool(array.dtype.kind == "c")
    return bool(array_api_compat.array_namespace(array).isdtype(array.dtype, "complex floating"))


def real_part(array: Array) -> Array:
    """Return the real part of a complex array, a real array itself."""
    return namespace(array=array).real(array) if is_complex(array) else array


def widen(array: Array) -> Array:
    """Convert to the widest floating type that the array's device has: float64 or complex128 nearly everywhere.

    An array that has that type already is returned as it is.
    """
    if type(array) is np.ndarray and array.dtype.char in "dD":
        return array
    xp = namespace(array=array)
    complex_ = is_complex(array)
    wide, narrow = (xp.complex128, xp.complex64) if complex_ else (xp.float64, xp.float32)
    try:
        return xp.astype(array, wide, copy=False)
    except (TypeError, RuntimeError):  # Apple's MPS has no float64
        return xp.astype(array, narrow, copy=False)


def _real_parts(array: Array) -> list[Array]:
    """Return the array itself, or the real and the imaginary part."""
    xp = namespace(array=array)
    return [xp.real(array), xp.imag(array)] if is_complex(array) else [array]


def working(array: Array, name: str | None = None) -> Working:
    """Return `array` in working precision, scaled by a power of two where its largest entry is of no ordinary size.

    With a name every entry has to be finite, and the error that is raised else tells it.
    """
    wide, _, eps, xp = given = unscaled(array)
    if is_ordinary(_squares(wide), math.prod(wide.shape)):
        return given
    # no whole array of absolute values: it would cost as much as a product with a few vectors
    ends = [abs(float(end(part))) for part in _real_parts(wide) for end in (xp.min, xp.max)]
    if name is not None and not all(map(math.isfinite, ends)):
        require_finite(array, name)
    largest = max(ends)
    exponent = math.frexp(largest)[1] if largest else 0
    exponent = exponent if abs(exponent) > UNSCALED else 0
    return Working(times_power_of_two(wide, -exponent), exponent, eps, xp)


def unscaled(array: Array) -> Working:
    """Return `array` in working precision as it is: for who finds out by other means whether its size is ordinary."""
    wide, xp = widen(array), namespace(array=array)
    return Working(wide, 0, float(xp.finfo(wide.dtype).eps) * (2 if is_complex(wide) else 1), xp)


def _squares(array: Array) -> float:
    """Return the sum of squares of a NumPy array of floats in one piece, by one quick look; NaN of all others."""
    if type(array) is not np.ndarray or array.dtype.char not in "fdFD" or not array.flags.forc:
        return math.nan
    flat = array.ravel(order="K")
    return float(np.vdot(flat, flat).real)


def is_ordinary(squares: float, count: int) -> bool:
    """Tell whether so many entries with that sum of squares are finite, and need not be scaled."""
    return 4.0**-UNSCALED * count < squares < 4.0 ** (UNSCALED - 1)


def times_power_of_two(array: Array, exponent: int) -> Array:
    """Multiply by ``2**exponent``, which itself may be out of range; what overflows becomes infinite (see `narrow`)."""
    if exponent == 0:
        return array
    if abs(exponent) < 1000:
        with np.errstate(over="ignore"):
            return array * 2.0**exponent
    half = exponent // 2
    with np.errstate(over="ignore"):
        return (array * 2.0**half) * 2.0 ** (exponent - half)


def narrow(array: Array, like: Array, name: str) -> Array:
    """Round to the dtype of `like`, chunks where they are; raise `RangeError` where a finite entry becomes infinite."""
    xp = namespace(array=array)
    rounded = array
    if array.dtype != like.dtype or type(array) is not np.ndarray:
        with np.errstate(over="ignore"):
            (rounded,) = settled(xp.astype(array, like.dtype, copy=False))
    if not (_sum_is_finite(rounded) or bool(xp.all(xp.isfinite(rounded)))):
        raise RangeError(
            f"{name} does not fit {like.dtype}: it holds values up to {float(xp.max(xp.abs(array))):.3g}; "
            "convert the input to a wider type first"
        )
    return rounded


def to_numpy(array: Array) -> np.ndarray[Any, Any]:
    """Copy to a NumPy array on the host (bfloat16 becomes float32, which holds it exactly)."""
    array = at_hand(array)
    if isinstance(array, np.ndarray):
        return array
    if _is_torch(array):
        array = array.detach().cpu().resolve_conj()
        return np.asarray(array.float() if str(array.dtype) == "torch.bfloat16" else array)
    if array_api_compat.is_cupy_array(array):
        return np.asarray(array.get())
    if array_api_compat.is_jax_array(array):
        return np.asarray(array)
    return np.from_dlpack(array_api_compat.to_device(array, _host(array)))


def _host(array: Array) -> Any:
    if array_api_compat.is_array_api_strict_namespace(array_api_compat.array_namespace(array)):
        return array_api_compat.array_namespace(array).Device("CPU_DEVICE")
    return "cpu"


def like_array(values: np.ndarray[Any, Any], like: Array) -> Array:
    """Move a host array to the library and device of `like`, or of its chunks."""
    like = like._meta if in_chunks(like) else like
    xp = namespace(like=like)
    return xp.asarray(values, device=array_api_compat.device(like))
