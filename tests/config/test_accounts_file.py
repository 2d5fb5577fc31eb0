"""`accounts_file`: a table of who owns which account, as people and spreadsheets write it."""

import codecs
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.config import ConfigError, check_successor, load, show
from monitor.config.accounts_file import read_accounts
from monitor.core.inventory import AccountRow
from monitor.files import FileContents

from .conftest import WORKSPACE

OWNERS = "receivers: [{name: own, type: email, host: h, from: a@example.com, to: {label: owner}}]\n"


@pytest.fixture
def load_rows(tmp_path):
    """Loads a configuration whose accounts_file holds a text or bytes."""

    def loads(content, more=""):
        (tmp_path / "owners.csv").write_bytes(
            content if isinstance(content, bytes) else content.encode()
        )
        file = tmp_path / "config.yaml"
        file.write_text(f"{WORKSPACE}accounts_file: owners.csv\n{more}")
        return load(file, {})

    return loads


@pytest.fixture
def problems(load_rows, tmp_path):
    """Returns the lines of the error, the folder left out."""

    def problems_of(content, more=""):
        with pytest.raises(ConfigError) as caught:
            load_rows(content, more)
        return str(caught.value).replace(f"{tmp_path}/", "").splitlines()

    return problems_of


UNSEEN = "holds a line break or another character that cannot be seen"
JANE = AccountRow("id", "a-1", {"owner": "jane@example.com"})
JOHN = AccountRow("name", "John Roe", {"owner": "john@example.com"}, ignore=False)


TABLES = [
    "id,name,owner,ignore\na-1,Jane,jane@example.com,\n,John Roe,john@example.com,false\n",
    "id,name,owner,ignore\r\na-1,,jane@example.com\r\n\r\n,John Roe,john@example.com,NO\r\n,,,\r\n",
    codecs.BOM_UTF8 + b"ID;Name;owner;Ignore\na-1;Jane;jane@example.com;\n"
    b";John Roe;john@example.com;0",
    (
        "name\tid\towner\tignore\t\t\n\ta-1\tjane@example.com\t\t\t\n"
        "John Roe\t\tjohn@example.com\tFALSE"
    ),
    (
        'owner, ignore ,id,name\njane@example.com,,"a-1","Jane ""JD"" Doe, PhD"\n'
        '" john@example.com ",no,,"John Roe"\n'
    ),
]


@pytest.mark.parametrize("content", TABLES)
def test_a_table_is_read_as_programs_write_it(load_rows, content):
    assert load_rows(content).account_rows == (JANE, JOHN)


@pytest.mark.parametrize(
    "url",
    ["https://www.linkedin.com/in/Jane-Doe/", "linkedin.com/in/jane-doe", "HTTP://linkedin.com/in/jane-doe?x=1"],
)  # fmt: skip
def test_an_address_is_what_tells_profiles_apart(load_rows, url):
    (row,) = load_rows(f"url,owner\n{url},jane\n").account_rows

    assert row == AccountRow("url", "linkedin.com/in/jane-doe", {"owner": "jane"})


def test_a_row_that_says_nothing_is_none(load_rows):
    assert load_rows("id,owner,ignore\na-1,,\n").account_rows == ()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", ["owners.csv: is empty"]),
        (b"id,owner\na,J\xe9\n", ["owners.csv:2: is not UTF-8 text; save it as “CSV UTF-8”"]),
        (b"\xff\xfei\0d\0", ["owners.csv:1: is not UTF-8 text; save it as “CSV UTF-8”"]),
        (",\na,b\n", ["owners.csv:1: must name the columns, such as id,owner",
                      "owners.csv:2: has no name in the first line"]),
        ("owner,nmae\n", ["owners.csv:1: has no column id, url or name; did you mean name?"]),
        ("id,id,owner\na,b,c\n", ["owners.csv:1: id: is a column twice"]),
        ("id,owner\na,b,c\n", ["owners.csv:2: has more than 2 cells; quote text with separators"]),
        ("id,,owner\na,x,b\n", ["owners.csv:2: has no name in the first line"]),
        ("id,owner\n,b\n", ["owners.csv:2: names no account: it needs an id, a url or a name"]),
        ("id,owner\na,b\n\na,c\n", ["owners.csv:4: id: names the same account as line 2"]),
        ("url,owner\nlinkedin.com/in/x,b\nhttps://www.linkedin.com/in/X/,c\n",
         ["owners.csv:3: url: names the same account as line 2"]),
        ("url,owner\nhttps://[,b\n",
         ["owners.csv:2: url: must be an address such as linkedin.com/in/jane-doe"]),
        ("id,ignore\na,maybe\nb,x\n", ["owners.csv:2: ignore: must be true or false, or empty",
                                       "owners.csv:3: ignore: must be true or false, or empty"]),
        ('id,owner\na,"b\nc"\n', [f"owners.csv:2: owner: {UNSEEN}"]),
        ('id,owner\na,"b"c\n', ["owners.csv:2: can't be read on: ',' expected after '\"'"]),
        ('id\towner\na\t"b"c\n', ["owners.csv:2: can't be read on: '\\t' expected after '\"'"]),
        ("id,owner\na,\0\n", [f"owners.csv:2: owner: {UNSEEN}"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(problems, content, expected):
    assert problems(content) == expected


def test_all_that_is_wrong_is_said_at_once_and_by_file(problems):
    assert problems("id,owner\n,x\na,not an address\n", f"{OWNERS}pol: {{}}\n") == [
        "config.yaml:4: pol: unknown key; did you mean poll?",
        "owners.csv:2: names no account: it needs an id, a url or a name",
        (
            "owners.csv:3: owner: must be an address such as ops@example.com or Ops"
            " <ops@example.com>: receivers[0] goes by it"
        ),
    ]


def test_a_file_that_is_not_there_is_one_line(problems, tmp_path):
    assert problems("") == ["owners.csv: is empty"]
    (tmp_path / "owners.csv").unlink()

    with pytest.raises(ConfigError, match=r"owners.csv: cannot be read: No such file"):
        load(tmp_path / "config.yaml", {})


@pytest.mark.slow
def test_a_file_that_is_too_large_is_one_line(problems):
    assert problems("id,owner\n" + "a" * 16 * 1024**2) == ["owners.csv: is larger than 16 MiB"]
    rows = "".join(f"{number},\n" for number in range(100_001))
    assert problems(f"id,o\n{rows}") == [
        "owners.csv:100002: is a row too many: there may be 100,000"
    ]


def test_owners_by_name_are_one_warning(load_rows):
    rows = "".join(f",Person {number},p{number}@example.com\n" for number in range(3))

    config = load_rows(f"id,name,owner\na,,a@example.com\n{rows}", OWNERS)

    (warning,) = config.warnings
    assert warning.endswith(
        "owners.csv:3: 3 rows go by a name or url, which whoever edits the profile can choose;"
        " give the id"
    )


def test_a_label_of_a_row_is_one_for_routes_and_receivers(load_rows):
    more = OWNERS + "routes: [{match: {labels: {team: growth}}, to: [own]}]\nfallback: log\n"
    more = more.replace("}}]\n", "}}, {name: log, type: log}]\n", 1)

    assert load_rows("id,owner,team\na,a@example.com,growth\n", more).warnings == ()


def test_what_is_shown_names_the_file_and_none_of_its_rows(load_rows, tmp_path):
    load_rows("id,owner\na-1,jane@example.com\n")

    lines = show(tmp_path / "config.yaml", {})

    assert "accounts: []\naccounts_file: owners.csv\n" in lines
    assert "jane" not in lines


@pytest.mark.parametrize(
    ("left", "problem"),
    [("id,owner\n", "has no rows any more"), ("id,owner\na,x\nb,y", "ends within a line")],
)
def test_a_table_that_was_cut_off_is_refused_at_a_reload(load_rows, left, problem):
    before = load_rows("id,owner\na,x\nb,yy\n")

    with pytest.raises(ConfigError, match=rf"owners.csv: .*{problem}"):
        check_successor(before, load_rows(left))
    check_successor(before, load_rows("id,owner\na,x\n"))


@pytest.mark.slow
def test_ten_thousand_rows_are_checked_at_once_whatever_goes_by_them(load_rows):
    """Each of them for each route and receiver would take half a minute."""
    rows = "".join(f"id-{number},o{number}@example.com,t{number}\n" for number in range(10_000))
    owners = "".join(
        f"  - {{name: r{number}, type: email, host: h, from: a@example.com, "
        "to: {label: owner}}\n"
        for number in range(300)
    )
    routes = "".join(
        f"  - {{match: {{labels: {{team: t{number}}}}}, to: r{number}}}\n" for number in range(300)
    )
    log = "  - {name: log, type: log}\nfallback: log\n"
    began = time.process_time()

    config = load_rows(f"id,owner,team\n{rows}", f"routes:\n{routes}receivers:\n{owners}{log}")

    assert (len(config.account_rows), config.warnings) == (10_000, ())
    assert time.process_time() - began < 4


cells = st.text(st.sampled_from("id,url;name\t\r\n\"' \0\x1b\u202eäa1:/.@"), max_size=60)
headers = st.sampled_from(["", "id,owner\n", "url;ignore\r\n", "\ufeffname\n"])


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("table") / "owners.csv"


@settings(max_examples=100, deadline=None, database=None)
@given(headers, st.text(max_size=60) | cells)
def test_any_text_is_a_table_or_an_error_that_may_be_shown(file, header, text):
    content = (header + text).encode(errors="surrogatepass")
    file.write_bytes(content)

    table = read_accounts(file, FileContents())

    assert table.problems or content.strip()
    for problem in table.problems:
        assert (problem.line or 1) <= content.count(b"\n") + content.count(b"\r") + 2
        assert all(line.isprintable() for line in str(problem).split("\n"))
    for row in table.rows.values():
        assert row.value
        assert row.labels or row.ignore is not None
