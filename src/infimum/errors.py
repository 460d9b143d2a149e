"""Every error that infimum raises on purpose.

Each message says what was expected, what came, and what to do. All derive from `InfimumError` and from the fitting
built-in, so both ``except InfimumError`` and ``except ValueError`` work::

    InfimumError
    ├── ShapeError, RankError, NonFiniteError, OptionError   (ValueError)     a bad argument
    ├── DTypeError, LibraryError                             (TypeError)      an array of the wrong kind
    ├── AdjointError                                         (ValueError)     an operator whose adjoint is not its own
    ├── NotSemidefiniteError                                 (ValueError)     a kernel or covariance that is none
    ├── RangeError                                           (OverflowError)  the answer does not fit the dtype
    ├── InfeasibleError                                      (ValueError)     no admissible answer exists
    ├── ToleranceError                                       (ValueError)     a tolerance that cannot be reached
    ├── MissingExtraError                                    (ImportError)    an optional part is not installed
    ├── FalseCertificateError                                (RuntimeError)   bound above value: a bug in infimum
    ├── VerificationError                                    (ValueError)     a result does not prove its claim
    ├── FileFormatError                                      (ValueError)     a file that cannot be read as asked
    ├── OutputError                                          (OSError)        a file that cannot be written as asked
    ├── ProcessError                                         (RuntimeError)   a process that shared the work is gone
    └── CheckpointError, CalibrationError, BudgetError       (ValueError)     model compression
"""

__all__ = [
    "AdjointError",
    "BudgetError",
    "CalibrationError",
    "CheckpointError",
    "DTypeError",
    "FalseCertificateError",
    "FileFormatError",
    "InfeasibleError",
    "InfimumError",
    "LibraryError",
    "MissingExtraError",
    "NonFiniteError",
    "NotSemidefiniteError",
    "OptionError",
    "OutputError",
    "ProcessError",
    "RangeError",
    "RankError",
    "ShapeError",
    "ToleranceError",
    "VerificationError",
]


class InfimumError(Exception):
    """Base class of all errors raised by infimum."""


class ShapeError(InfimumError, ValueError):
    """An array has the wrong number of axes, is empty, or does not fit its partner."""


class RankError(InfimumError, ValueError):
    """A rank is out of range, or no whole number."""


class NonFiniteError(InfimumError, ValueError):
    """The input contains NaN or infinity."""


class OptionError(InfimumError, ValueError):
    """An option has a value outside the documented ones, or options lack or exclude each other."""


class DTypeError(InfimumError, TypeError):
    """The elements of an array are not numbers that the function accepts."""


class LibraryError(InfimumError, TypeError):
    """Arrays of different libraries or devices were mixed, or the input is not an array."""


class AdjointError(InfimumError, ValueError):
    """A linear operator whose products with the adjoint are not those of its conjugate transpose."""


class NotSemidefiniteError(InfimumError, ValueError):
    """A matrix that must be Hermitian positive semidefinite is not."""


class RangeError(InfimumError, OverflowError):
    """The answer, or its norm, is too large for the floating-point type."""


class InfeasibleError(InfimumError, ValueError):
    """The constraints contradict each other; the message names the binding one and the nearest that can be met."""


class ToleranceError(InfimumError, ValueError):
    """The requested tolerance cannot be reached in the precision of the input."""


class MissingExtraError(InfimumError, ImportError):
    """An optional dependency is missing; the message names the pip command."""


class FalseCertificateError(InfimumError, RuntimeError):
    """A lower bound came out above the value: a bug in infimum. Please report it: the issues have a form for it."""


class VerificationError(InfimumError, ValueError):
    """A result does not prove what its certificate claims for this input."""


class FileFormatError(InfimumError, ValueError):
    """A file cannot be read as the kind of input that was asked for."""


class OutputError(InfimumError, OSError):
    """A file cannot be written as asked: it exists, its folder is missing, or its format cannot hold the answer."""


class CheckpointError(InfimumError, ValueError):
    """A model folder is incomplete, damaged, quantised, or of an unsupported kind."""


class CalibrationError(InfimumError, ValueError):
    """The calibration text is missing or too short for the model."""


class ProcessError(InfimumError, RuntimeError):
    """Another of the processes that share the work has ended."""


class BudgetError(InfimumError, ValueError):
    """The requested size cannot be reached with the chosen forms."""


def __dir__() -> list[str]:
    return __all__
