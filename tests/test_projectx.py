"""The gateway's codes become words, and its contracts become ours or an error."""

from __future__ import annotations

from typing import Any

import pytest

from tickwire.errors import RequestFailed
from tickwire.projectx import CONTRACT_SEARCH, RETRIEVE_BARS, Contract, contracts_of, login_failed, refused

SAMPLE = {
    "id": "CON.F.US.ENQ.H25",
    "name": "ENQH25",
    "description": "E-mini NASDAQ-100: March 2025",
    "tickSize": 0.25,
    "tickValue": 5,
    "activeContract": True,
}
"""From the gateway's documentation."""


@pytest.mark.parametrize("code", range(1, 12))
def test_only_what_the_gateway_cannot_explain_may_work_later(code: int) -> None:
    error = login_failed(code)
    assert error.code == code
    assert error.permanent == (code not in (8, 11))
    assert f"code {code}: " in str(error)


def test_an_answer_is_good_only_if_it_says_so() -> None:
    assert refused(CONTRACT_SEARCH, {"success": True, "errorCode": 0}) is None
    unknown = refused(RETRIEVE_BARS, {"success": False, "errorCode": 1, "errorMessage": "secret"})
    assert unknown is not None
    assert (unknown.code, unknown.permanent) == (1, True)
    assert str(unknown) == f"the gateway refused {RETRIEVE_BARS} with code 1: there is no such contract"
    for reply in ({}, {"success": "true"}, {"success": 1}, {"success": False, "errorCode": True}):
        error = refused(CONTRACT_SEARCH, reply)
        assert error is not None
        assert (error.code, error.permanent) == (-1, False)


def test_contracts_come_as_a_list_or_as_one() -> None:
    expected = Contract(
        "CON.F.US.ENQ.H25", "ENQH25", "E-mini NASDAQ-100: March 2025", 0.25, 5.0, active=True, symbol_id=""
    )
    assert contracts_of("/p", {"contracts": [SAMPLE, SAMPLE]}) == [expected, expected]
    assert contracts_of("/p", {"contract": SAMPLE | {"symbolId": "F.US.ENQ"}})[0].symbol_id == "F.US.ENQ"
    assert contracts_of("/p", {"contract": None}) == []
    assert contracts_of("/p", {"contracts": []}) == []
    instrument = expected.instrument(source="last")
    assert (instrument.symbol, instrument.tick_size, instrument.source) == (
        "CON.F.US.ENQ.H25",
        0.25,
        ("last",),
    )


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"contracts": None},
        {"contracts": SAMPLE},
        {"contracts": ["x"]},
        {"contracts": [SAMPLE | {"id": ""}]},
        {"contracts": [SAMPLE | {"tickSize": 0}]},
        {"contracts": [SAMPLE | {"tickSize": True}]},
        {"contracts": [SAMPLE | {"tickValue": float("inf")}]},
        {"contract": {"id": "x"}},
    ],
)
def test_what_is_no_contract_is_an_error(reply: dict[str, Any]) -> None:
    with pytest.raises(RequestFailed, match="the gateway answered /p with no list of contracts"):
        contracts_of("/p", reply)
