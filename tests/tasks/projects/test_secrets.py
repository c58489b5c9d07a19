from __future__ import annotations

import pytest
from pydantic import SecretStr

from headgate.tasks.projects.secrets import (
    Redactor,
    is_secret_name,
    mask_command,
    mask_text,
    recorded_value,
    secret_variables,
)


@pytest.mark.parametrize(
    "name",
    [
        "password", "db_password", "DB_PASSWORD", "dbPassword", "userPasswd", "secret",
        "client-secret", "api_key", "apiKey", "API_KEY", "apikey", "AWS_SECRET_ACCESS_KEY",
        "aws_access_key_id", "token", "hf_token", "GITHUB_TOKEN", "accessToken", "private_key",
        "credentials", "db.pwd", "AIRFLOW__CORE__FERNET_KEY",
    ],
)  # fmt: skip
def test_secret_names(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "max_tokens", "tokens", "tokenizer", "num_tokens", "pad_token", "eos_token", "n_token",
        "special_token", "key", "primary_key", "sort_key", "keyboard", "PWD", "OLDPWD", "alpha",
        "author", "secretary", "", "__", "passes", "monkey",
    ],
)  # fmt: skip
def test_names_that_are_not(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgresql+psycopg://u:p%40ss@h:5432/d", "postgresql+psycopg://u:***@h:5432/d"),
        ("from redis://:pw@h to mysql://a:b@c", "from redis://:***@h to mysql://a:***@c"),
        ("https://ghtoken1234@github.com/x.git", "https://***@github.com/x.git"),
        ("https://u:p@ss@h/x", "https://u:***@h/x"),
        ("s3://b/k?X-Amz-Signature=abc&x=1", "s3://b/k?X-Amz-Signature=***&x=1"),
        ("https://h/a?a=1&sig=x%20y", "https://h/a?a=1&sig=***"),
        ("key AKIAABCDEFGHIJKLMNOP.", "key ***."),
        ("ghp_" + "a1" * 18, "***"),
        ("hf_" + "a" * 34, "***"),
        ("sk-proj-" + "a-1" * 10, "***"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sig-na_ture", "***"),
        ("a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb", "a\n***\nb"),
    ],
)
def test_masks_what_looks_like_a_secret(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "https://host:8080/a@b",
        "s3://bucket/key",
        "sk-learn-pipeline-with-a-long-name",
        "user@host.example",
        "ratio 1:2@3",
        "https://alice@host/",
        "epoch=3 loss=0.1",
        "d41d8cd98f00b204e9800998ecf8427e",
    ],
)
def test_leaves_the_rest_alone(text: str) -> None:
    assert mask_text(text) == text


@pytest.mark.parametrize(
    ("command", "masked"),
    [
        ("train --password hunter2 --x 1", "train --password *** --x 1"),
        ("train --api-key=abc", "train --api-key=***"),
        ("API_KEY=abc python x.py", "API_KEY=*** python x.py"),
        ('train --password "${HEADGATE_SECRET_password}"', 'train --password "${HEADGATE_SECRET_password}"'),
        ("train --use-password --x 1", "train --use-password --x 1"),
        ("train --max_tokens 3 --lr=0.1", "train --max_tokens 3 --lr=0.1"),
        ("curl https://u:p@h", "curl https://u:***@h"),
    ],
)
def test_masks_commands(command: str, masked: str) -> None:
    assert mask_command(command) == masked


def test_recorded_values() -> None:
    assert recorded_value("x", SecretStr("abc"), "abc") == "***"
    assert recorded_value("password", "abc", "abc") == "***"
    assert recorded_value("password", "", "") == ""
    assert recorded_value("x", "a://b:c@d", "a://b:c@d") == "a://b:***@d"
    assert recorded_value("x", 1, "1") == "1"


def test_variables_of_an_environment() -> None:
    variables = {
        "API_KEY": "canary-one",
        "HEADGATE_STORE_URL": "postgresql://u:canary%2Dtwo@h/d",
        "PWD": "/home/user",
        "SHORT_PASSWORD": "abc",
        "HOME": "/home/user",
    }
    assert sorted(secret_variables(variables)) == ["canary%2Dtwo", "canary-one", "canary-two"]


def test_redactor() -> None:
    redact = Redactor(["canary", "canary-longer", "two lines\nof it", "tiny"])
    assert redact("a canary-longer b canary c tiny") == "a *** b *** c tiny"
    assert redact("two lines here, of it there") == "*** here, *** there"
    assert redact("postgresql://u:p@h") == "postgresql://u:***@h"
    assert Redactor()("nothing to hide") == "nothing to hide"
