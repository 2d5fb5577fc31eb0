"""Names that are gone stay gone: one word, one meaning.

Names are read from the syntax, so prose may say what it likes. Each row is a room and the names
that nothing in it is called any more: no module, class, function, parameter, variable or field.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

GONE = {
    "monitor": (
        "Seen Failing Item Ears ears Notice Parcel Roster roster Surroundings surroundings around"
        " patience review display Told tell_fallback withdraw abandon hurry ClaimLostError"
        " ShareUsedError Crew Watch Outlet Takeover Ground Pulse Supervisor one found told said"
        " known Outcome Parts"
    ),
    "monitor/core": (
        "Sight Phase _Draft heirs _stay _clear _suspect _improve _persist is_settled settled HOLD"
        " withheld diverted proceed addressed by_label _overtaken _was_said _may_be_over Policy"
        " Delivery Reconnection describe known_timezone who delivery_pause poll_pause STEPS _see"
        " _miss Entry Rule clock tell LONGEST longest hide"
    ),
    "monitor/store": (
        "attachment enter lapsed restore alive defer creations Creation give_up_lost upkeep"
        " PULL_BACK FORGET forget tell COLLECT HEAR_ALL HEAR_LEAVING TAKE_BACK leaving Breaker"
        " _refusing_until Explain Limit BLIND verify want _divert _verdict _for_fallback RECHECK"
        " SLOW"
    ),
    "monitor/work": (
        "Rules _want_links _go_blind _note_look take_over AT_ONCE RETURNABLE SEND_LIMIT _leaving"
    ),
    "monitor/app": (
        "parts pulse crew supervisor take_over adopt _go_by _resting kept_apart announce reread"
        " AGAIN IDLE TICK NOTE FORGET ASLEEP RETRY LAST_SENDS _rule _route _own_origin SENDERS"
        " SESSIONS_A_POLL"
    ),
    "monitor/source": (
        "answer fault plain Answer Wire Entry loose entry session_of refused unusable"
        " LONGEST_WAIT LONGEST_BODY LONGEST_ERROR_BODY LONGEST_ID LONGEST_LINK _mark _words"
        " _usable_token _inflated _ssl_context hide"
    ),
    "monitor/notifiers": "_Outgoing _words hints Server _meaning trust MAX_ANSWER plain",
    "monitor/metrics": "Ledger Piece page drawn polled_well begin hide",
    "monitor/web": "_Pages _Page MOST_PAGES _may PHASE_TIMEOUT _begin_phase",
    "monitor/config": "reading building take wording Place Hidden complete take_files",
    "monitor/cli": "running setup document complain moment",
    "monitor/log": "Masking PATIENCE",
    "monitor/simulator": (
        "Knobs World Journal Edge wire Act Limiter page chosen places meet bound knobs journal"
        " limiter model describe session_page Entry GRACE LARGE"
    ),
    "tests": (
        "World Desk desk Station station Stage Post Speaking Office Scene Site Observatory Told"
        " ledger test_knobs story one found said known PATIENCE patience test_crew"
    ),
}


@cache
def names(path):
    """Return what the module at *path* is called and everything that it names."""
    words = {path.stem}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case (
                ast.ClassDef(name=name)
                | ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.arg(arg=name)
                | ast.Name(id=name, ctx=ast.Store())
                | ast.Attribute(attr=name, ctx=ast.Store())
            ):
                words.add(name)
    return words


@pytest.mark.parametrize("room", GONE)
def test_no_name_that_is_gone_comes_back(room):
    place = ROOT / room
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    gone = set(GONE[room].split())

    assert files
    assert {str(file.relative_to(ROOT)): names(file) & gone for file in files} == {
        str(file.relative_to(ROOT)): set() for file in files
    }
