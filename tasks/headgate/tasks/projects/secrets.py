"""What must not be written down: secret values, found by their type, their name or their look.

A parameter is a secret when it was given as a secret type (anything with ``get_secret_value``), when its name says so
(``password``, ``api_key``, ``hf_token``; but not ``max_tokens`` or ``pad_token``), or when its value looks like a known
kind of key. Passwords in URLs are masked wherever they stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

MASK = "***"

# A shorter value would turn up in ordinary output by chance, and masking it would garble the record. What is only
# guessed to be a secret, from the name of an environment variable, has to be longer still.
_SHORTEST_SOUGHT = 5
_SHORTEST_GUESSED = 8

_SECRET_WORD = re.compile("password|passwd|passphrase|secrets?|credentials?|apikey|authorization")
_SECRET_KEY = re.compile("access|account|api|encryption|fernet|private|signing")
# Tokens that are parts of texts, or counts of them, are not secrets.
_TEXT_TOKEN = re.compile(
    "bos|cls|decoder|end|eos|image|mask|max|min|n|num|pad|per|sep|special|start|stop|text|unk|word"
)

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_KEY = re.compile(
    r"""\b(?:AKIA|ASIA)[0-9A-Z]{16}\b                                  # AWS
      | \bgh[pousr]_[A-Za-z0-9]{30,} | \bgithub_pat_\w{30,} | \bglpat-[\w-]{20,}
      | \bxox[abprs]-[\w-]{10,}
      | \bsk-(?:ant|proj|svcacct)-[\w-]{20,} | \bsk-[A-Za-z0-9]{32,} | \bhf_[A-Za-z0-9]{30,} | \bAIza[\w-]{35}
      | \beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*                            # a JSON web token
      | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----[\s\S]*?(?:-----END[ ][A-Z ]*PRIVATE[ ]KEY-----|\Z)""",
    re.VERBOSE,
)
_URL_PASSWORD = re.compile(r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]*://)(?P<user>[^\s/:@'\"]*):(?P<password>[^\s/'\"]+)@")
_URL_TOKEN = re.compile(r"(?P<scheme>\bhttps?://)(?P<token>[^\s/:@'\"]{8,})@")
# --password hunter2, --password=hunter2, PASSWORD=hunter2; but not what is read from a variable anyway
_OPTION = re.compile(r"(?P<name>--?[A-Za-z][\w.-]*|\b[A-Za-z_]\w*(?==))(?P<sign>=|\s+)(?P<value>(?![\"']?\$)[^\s-]\S*)")
_URL_SIGNATURE = re.compile(
    r"(?P<key>[?&](?:X-Amz-(?:Credential|Security-Token|Signature)|sig|signature|token|access_token|api_key|password)=)"
    r"[^&\s'\"]+",
    re.IGNORECASE,
)


def is_secret_type(value: Any) -> bool:
    """Say whether a value hides itself, as ``pydantic.SecretStr`` does."""
    return hasattr(value, "get_secret_value")


def is_secret_name(name: str) -> bool:
    """Say whether a parameter or variable with this name holds a secret."""
    words = [word.lower() for word in _WORD.findall(name)]
    if any(_SECRET_WORD.fullmatch(word) for word in words):
        return True
    if any(second == "key" and _SECRET_KEY.fullmatch(first) for first, second in pairwise(words)):
        return True
    if words[-1:] == ["token"]:
        return not any(_TEXT_TOKEN.fullmatch(word) for word in words)
    return words[-1:] == ["pwd"] and len(words) > 1  # $PWD itself is the working directory


def mask_text(text: str) -> str:
    """Return ``text`` with everything masked that looks like a key or stands as a password in a URL."""
    if "://" in text:
        text = _URL_PASSWORD.sub(rf"\g<scheme>\g<user>:{MASK}@", text)
        text = _URL_TOKEN.sub(rf"\g<scheme>{MASK}@", text)
    if "=" in text:
        text = _URL_SIGNATURE.sub(rf"\g<key>{MASK}", text)
    return _KEY.sub(MASK, text)


def mask_command(command: str) -> str:
    """Return a command line with the values of secret-looking options and assignments masked, and as mask_text does."""

    def masked(match: re.Match[str]) -> str:
        hidden = is_secret_name(match["name"])
        return f"{match['name']}{match['sign']}{MASK if hidden else match['value']}"

    return mask_text(_OPTION.sub(masked, command))


def recorded_value(name: str, value: Any, text: str) -> str:
    """Return what a run may record of a parameter.

    Args:
        name: the parameter's name.
        value: as it was given.
        text: the same as text.

    Returns:
        ``text`` itself when there is nothing to hide.
    """
    if is_secret_type(value) or (is_secret_name(name) and text):
        return MASK
    return mask_text(text)


def secret_variables(variables: Mapping[str, str]) -> Iterator[str]:
    """Yield the values that an environment keeps secret: those with a secret name, and passwords in URLs."""
    for name, value in variables.items():
        found = [value] if is_secret_name(name) else url_passwords(value)
        yield from (secret for secret in found if len(secret) >= _SHORTEST_GUESSED)


def url_passwords(text: str) -> list[str]:
    """Return the passwords of the URLs in ``text``, as they stand there and decoded."""
    found = [match["password"] for match in _URL_PASSWORD.finditer(text)] if "://" in text else []
    return [*found, *(unquote(password) for password in found)]


class Redactor:
    """Masks known secret values, and whatever looks like a secret, in lines of text.

    Args:
        secrets: values that must not appear; each line of a value with several lines is one. Values of fewer than 5
            characters are too short to be sought.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        lines = {line for secret in secrets for line in (secret, *secret.splitlines())}
        sought = [line for line in lines if len(line) >= _SHORTEST_SOUGHT]
        longest_first = sorted(sought, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, text: str) -> str:
        """Return ``text`` with the secrets masked."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        return mask_text(text)
