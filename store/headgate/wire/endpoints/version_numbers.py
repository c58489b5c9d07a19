"""The number of a model version, which MLflow sends as a string."""

from __future__ import annotations

from headgate.wire.call import Fields
from headgate.wire.errors import INVALID_PARAMETER_VALUE, WireError


def version_number(fields: Fields) -> int:
    """Return the field ``version``.

    Raises:
        WireError: it is missing or not a number.
    """
    said = fields.required_string("version")
    if not said.isdecimal():
        raise WireError(
            INVALID_PARAMETER_VALUE, f"Parameter 'version' must be an integer value from 1 up, got {said!r}."
        )
    return int(said)
