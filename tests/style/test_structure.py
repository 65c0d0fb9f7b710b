"""Arrows between folders, one file per vendor header, purity of what decides, names that files export."""

import re

import pytest

from source import TOP, files, nm, over, sources, symbols, text

# room: the rooms that it may use besides its own.  main.c builds the parts and may use all.
LEDGER = {"ledger/decide", "ledger/rows", "prices", "db", "base"}
QUERIES = {"ledger", "db", "base"}
WORKER = {"inbox", "clients", "queries", "prices"} | QUERIES
API = {"reports", "prices", "clients", "queries", "ledger", "edge", "db", "base"}
ROOMS = {
    "base": set(),
    "db": {"base"},
    "prices": {"db", "base"},
    "ledger/rows": {"db", "base"},
    # Of ledger/ only the nouns of a command, which are as pure: PURE_OF_LEDGER.
    "ledger/decide": {"ledger", "ledger/rows", "prices", "base"},
    "ledger": LEDGER,
    "audit": LEDGER | {"ledger"},
    "queries": QUERIES,
    "reports": {"queries", "ledger/decide", "ledger", "prices", "base"},
    "clients": {"base"},
    "inbox": {"clients", "queries"} | QUERIES,
    "worker": WORKER,
    "edge": {"base"},
    "routes/api": API,
    "routes/auth": API | {"routes/api"},
    "routes": API | {"routes/api", "routes/auth", "ledger/decide", "inbox", "worker"},
    "meter": {"clients", "edge", "prices", "base"},
    "ctl": WORKER | {"worker", "audit", "reports", "prices", "routes", "routes/auth", "edge"},  # ctl/reads asks the read handlers, ctl_admin makes a token
    "ctl/doctor": WORKER | {"ctl", "prices"},
    "ctl/setup": WORKER | {"ctl", "prices"},
}
PURE_OF_LEDGER = {"command.h", "terms.h", "commands.def", "needs.def", "transactions.def", "declines.def", "recharge_reasons.def"}
CONFIG_READERS = {"meter", "worker", "routes", "routes/api", "ctl", "ctl/doctor", "ctl/setup"}

VENDORS = {
    "mysql.h": "src/db/db.c",
    "mysqld_error.h": "src/db/db.c",
    "errmsg.h": "src/db/db.c",
    "fcgiapp.h": "src/edge/fcgi.c",
    "fcgi_stdio.h": None,
    "jansson.h": "src/base/json.c",
    "openssl/": "src/base/digest.c",
    "ini.h": "src/conf.c",
    "cjose/": "src/routes/auth/token.c",
    "curl/": ("src/clients/http.c", "src/clients/smtp.c", "src/meter/transfer.c"),
    "glib.h": "src/base/zone.c",
    "seccomp.h": "src/base/sandbox.c",
}

ALL = sources(".c", ".h", ".def")


def includes(name, quotes):
    pattern = r'^\s*#\s*include\s+"([^"]+)"' if quotes else r"^\s*#\s*include\s+<([^>]+)>"
    return re.findall(pattern, text(name), re.M)


def room_of(name):
    """Of a path below src/; the lists of a room's tables belong to it."""
    return name.rpartition("/")[0].removesuffix("/tables")


@over(ALL)
def test_rooms(name):
    room = room_of(name.removeprefix("src/"))
    for included in includes(name, quotes=True):
        assert (TOP / "src" / included).is_file(), f"{name}: \"{included}\" is not named from src/"
        of = room_of(included)
        if room in ("", of):
            continue
        if of == "":
            assert room in CONFIG_READERS, f"{name} includes {included}"
            continue
        assert of in ROOMS[room], f"{name} includes {included}: {room} may use {sorted(ROOMS[room])}"
        if (room, of) == ("ledger/decide", "ledger"):
            assert included.removeprefix("ledger/") in PURE_OF_LEDGER, f"{name} includes {included}, which is not pure"


def test_every_room_is_listed():
    assert {room_of(name.removeprefix("src/")) for name in ALL} - {""} == set(ROOMS)


def test_every_room_says_what_lives_there():
    """In a README of at most 15 lines that names the threads."""
    for room in ROOMS:
        lines = text(f"src/{room}/README.md").splitlines()
        assert len(lines) <= 15 and lines[0] == f"# {room}" and "thread" in " ".join(lines).lower(), room


@pytest.mark.parametrize("header", VENDORS)
def test_vendor_header_is_in_one_file(header):
    users = [name for name in ALL for found in includes(name, quotes=False)
             if found == header or (header.endswith("/") and found.startswith(header))]
    wanted = VENDORS[header] or ()
    assert set(users) == ({wanted} if isinstance(wanted, str) else set(wanted))


def test_no_unknown_vendor():
    """Every other header in <> is the C library's or Linux's."""
    known = {"ctype.h", "dirent.h", "endian.h", "errno.h", "fcntl.h", "fnmatch.h", "grp.h", "inttypes.h", "limits.h", "linux/futex.h", "malloc.h", "poll.h",
             "pthread.h", "pwd.h", "sched.h", "signal.h", "spawn.h", "stdarg.h", "stdatomic.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h",
             "string.h", "strings.h", "time.h", "unistd.h", "arpa/inet.h", "netinet/in.h", "netinet/tcp.h", "netdb.h",
             "sys/epoll.h", "sys/eventfd.h", "sys/file.h", "sys/ioctl.h", "sys/mman.h", "sys/prctl.h", "sys/random.h", "sys/resource.h", "sys/socket.h",
             "sys/stat.h", "sys/syscall.h", "sys/time.h", "sys/types.h", "sys/uio.h", "sys/un.h", "sys/wait.h"}
    vendors = tuple(VENDORS)
    for name in ALL:
        for header in includes(name, quotes=False):
            assert header in known or header.startswith(vendors), f"{name}: <{header}>"


# ---- purity ------------------------------------------------------------------------------------------

# Files that decide, and others that are as pure: no I/O, no clock, no memory of their own, no database.
PURE = sources(".c", under="src/ledger/decide/") + [f"src/{name}.c" for name in (
    "ledger/rows/record", "prices/price", "prices/plan", "prices/usage", "prices/topup_bonus", "reports/diagnosis", "reports/forecast")]
PURE_ALLOWED = re.compile(r"""
    (decide|alert|effects|facts|funds|due|refusal|open_orders|new_order|order|recharge|campaign|code_attempts|referral|grace|rows|money|price|entry|record|digest_sha256|json_(get|int|type|size|at|text|fraction|bool|each)|provider
     |plan|use|counts|topup_bonus|dimension|service_tier|row_check|window|workspace|limits|allowance|paid_period|bill|customer|expiry|identity|diagnosis|forecast|report|wording)(_\w+)?
    | calendar_(date|days|add_months|floor_div) | zone_(name|local|instant|add_months|local_day|local_month|next_day|next_month)
    | book_price_(at|of_version) | book_plan(_at|_of_version)? | outcome_name | command_\w+ | check_failed | names_\w+
    | qsort | buf_(add_(char|int|text)|printf) | decimal_\w+ | table_(of|row_clear)
    | (__)?(memcpy|memset|memcmp|memmove|strcmp|strlen|strnlen|strncat|strncmp|strchr|strspn|strcspn|memchr)(_chk)?
    | __u?(div|mod|mul|divmod)\w*ti[34] | __stack_chk_fail
    | _?_(asan|ubsan|tsan|gcov|sanitizer)_\w+ | __sanitizer_\w+ | _GLOBAL_OFFSET_TABLE_ | llvm_\w+ | _Unwind_\w+
    | __gcc_personality_v0
    """, re.X)


def test_there_is_something_to_be_pure():
    assert len(PURE) >= 40


@over(PURE)
def test_decide_is_pure(name):
    """The object needs no function that could do anything but compute."""
    for symbol in symbols(name, "-u"):
        assert PURE_ALLOWED.fullmatch(symbol), f"{name} uses {symbol}"


@over(PURE)
def test_decide_has_no_state(name):
    """No variable that outlives a call (d, b: data and bss, also when static)."""
    for line in nm(name):
        kind, symbol = line.split()[-2:]
        assert kind.lower() not in "bdc" or re.search(r"asan|ubsan|tsan|gcov|llvm|__odr|DW\.ref", symbol) or \
            re.fullmatch(r"\.L\w+|(rules|actions|cases|steps|units)(\.\d+)?", symbol), f"{name}: {symbol} ({kind})"


# ---- who moves money ---------------------------------------------------------------------------------

MONEY = "balance_micros|held_micros|remaining_micros|chain_head|entry_seq"


def money_moves(content):
    """Places that change an account's or a grant's money, or make a line of the journal."""
    rows = set(re.findall(r"struct (?:accounts|grants)_row \*(?:const )?(\w+)", content))
    rows -= set(re.findall(r"struct (?:answer|usages_row|holds_row|members_row) \*(?:const )?(\w+)", content))
    names = "|".join(sorted(rows | {"s->account", "s->grants"}))
    return re.findall(rf"\b(?:{names})->(?:{MONEY})\s*(?:[+-]?=(?!=)|\+\+|--)[^;]*;|\+\+(?:{names})->(?:{MONEY})"
                      rf"|rows_alloc\([^;]*TABLE_ENTRIES\)", content)


@over(sources(".c", under="src/ledger/decide/"))
def test_money_moves_in_effects_alone(name):
    found = money_moves(text(name))
    assert bool(found) == (name == "src/ledger/decide/effects.c"), f"{name}: {found}"


def test_moves_of_money_are_found():
    for wrong in ("s->account->balance_micros += 1;", "struct grants_row *g; g->remaining_micros = 0;",
                  "struct accounts_row *a; e->seq = ++a->entry_seq;", "rows_alloc(d->rows, TABLE_ENTRIES)"):
        assert money_moves(wrong), wrong
    assert not money_moves("struct answer *a; a->balance_micros = 1; struct grants_row *g; if (g->remaining_micros == 0) x();")


# ---- what a file exports ---------------------------------------------------------------------------

# A noun that lives in the file of another.
EXPORTS_TOO = {
    "src/base/lock.c": ("cond_",),
    "src/base/money.c": ("decimal_",),
    "src/edge/exchange.c": ("exchanges_",),
    "src/audit/audit_state.c": ("audit_",),
    "src/ledger/command.c": ("provider_",),
    "src/prices/counts.c": ("dimension_", "service_tier_"),
    "src/routes/api/steps.c": ("call_",),
    "src/routes/clerk.c": ("webhooks_",),
    "src/main.c": ("main",),
    "src/ctl/octroictl.c": ("main",),
    "src/meter/octroi_meter.c": ("main",),
    "src/meter/transfer.c": ("transfers_",),
    "src/meter/channel.c": ("channels_",),
}


@over(sources(".c"))
def test_exports_its_own_names_only(name):
    stem = name.rsplit("/", 1)[1][:-2]
    allowed = (stem + "_",) + EXPORTS_TOO.get(name, ())
    if name.startswith("src/ledger/decide/"):
        allowed += ("decide_",)
    for symbol in symbols(name, "-g", "--defined-only"):
        assert symbol in (stem, "decide") or symbol.startswith(allowed) or re.match(r"__(asan|odr_asan|gcov)|DW\.ref", symbol), \
            f"{name} exports {symbol}"


@over(sources(".h"))
def test_header(name):
    """A comment that says what it is, then a guard of the file's name."""
    content = text(name)
    guard = "OCTROI_" + re.sub(r"\W", "_", name.removeprefix("src/").removesuffix(".h")).upper() + "_H"
    assert content.startswith("/*\n * " + name.rsplit("/", 1)[1][:-2] + ": "), f"{name} does not begin with what it is"
    assert re.search(rf"^#ifndef {guard}\n#define {guard}$", content, re.M), guard
    assert content.endswith("#endif\n")


def test_makefile_lists_every_source_sorted():
    makefile = text("Makefile.am")
    blocks = re.findall(r"^\w+ = \\\n((?:\t.*\\\n)*\t.*\n)", makefile, re.M)
    listed = [line.strip(" \t\\") for block in blocks for line in block.splitlines()]
    named = set(re.findall(r"[\w./-]+\.(?:c|h|def)\b", makefile))
    assert set(sources(".c", ".h", ".def")) - named == set()
    for block in blocks:
        lines = [line.strip(" \t\\") for line in block.splitlines()]
        if lines[0].startswith("src/"):
            assert lines == sorted(lines)
    for path in ("man/octroi.8", "man/octroi.conf.5", "man/octroictl.8", *sources(".sql", under="sql/"),
                 *sources("README.md")):
        assert path in listed, path


def test_only_files_that_belong():
    for name in files():
        assert not name.endswith((".o", ".a", ".pyc", ".log", ".orig", ".rej", "~")), name
