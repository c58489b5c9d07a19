from __future__ import annotations

import pytest

from headgate.store.alias_names import check_new_alias_name
from headgate.store.errors import InvalidInput
from headgate.store.targets import Target, parse_target


@pytest.mark.parametrize("alias", ["", "a b", "a/b", "é!", "latest", "Latest", "v1", "V20", "x" * 256])
def test_an_alias_that_can_not_be_set_is_no_target_either(alias: str) -> None:
    with pytest.raises(InvalidInput):
        check_new_alias_name(alias)
    with pytest.raises(InvalidInput, match="is not an alias that a model can have") as refused:
        parse_target(f"@{alias}")
    assert "letters, digits" in refused.value.remedy


@pytest.mark.parametrize("alias", ["champion", "v1-old", "1", "é", "x" * 255])
def test_an_alias_that_can_be_set_is_a_target(alias: str) -> None:
    check_new_alias_name(alias)
    assert parse_target(f"@{alias}") == Target(alias=alias)
