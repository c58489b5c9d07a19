"""The number of a model version, which MLflow sends as a string."""

from __future__ import annotations

from headgate.store.validation import shorten
from headgate.wire.call import Fields
from headgate.wire.errors import INVALID_PARAMETER_VALUE, WireError

_LONGEST = 19  # digits that 64 bits hold


def version_number(fields: Fields) -> int:
    """Return the field ``version``.

    Raises:
        WireError: it is missing or not a number.
    """
    said = fields.required_string("version")
    if not said.isdecimal() or len(said) > _LONGEST:
        raise WireError(
            INVALID_PARAMETER_VALUE, f"Parameter 'version' must be an integer value from 1 up, got {shorten(said)}."
        )
    return int(said)
