"""How the C is written: what it does not call, how long functions and lines are, no floating point."""

import re

from source import code, functions, over, sources, text

C = sources(".c", ".h")

# curl's checksrc bans most of these; the rest is what this project adds.
BANNED = """
    gets strcpy strcat strncpy strtok strtok_r sprintf vsprintf scanf sscanf fscanf vsscanf stpcpy
    atoi atol atoll atof strtod strtof strtold strtoul
    localtime gmtime mktime asctime ctime localtime_r gmtime_r asctime_r ctime_r strftime strptime
    system popen alloca strdupa strndupa mktemp tmpnam tempnam
    rand srand random srandom drand48 lrand48 setjmp longjmp
    usleep sleep ualarm signal bcopy bzero bcmp index rindex gethostbyname inet_ntoa inet_addr
    mysql_query mysql_escape_string mysql_real_escape_string mysql_stmt_prepare
    FCGX_OpenSocket FCGX_Accept FCGX_Init
""".split()
# SIG_IGN for SIGPIPE needs no sigaction in a one-shot program; the bulk protocol takes prepared statements only.
BANNED_EXCEPT = {("src/ctl/octroictl.c", "signal"), ("src/edge/fcgi.c", "FCGX_Init"),
                 ("src/db/db.c", "mysql_stmt_prepare")}


@over(C)
def test_banned_functions(name):
    for match in re.finditer(r"(?<![\w.>])(\w+)\s*\(", code(name)):
        assert match[1] not in BANNED or (name, match[1]) in BANNED_EXCEPT, f"{name} calls {match[1]}"


@over(C)
def test_no_floating_point(name):
    found = re.search(r"\b(float|double|_Float\w+|_Decimal\w+|[fl]?(floor|ceil|round|pow)[fl]?(?=\())\b|\b\d+\.\d|\b\d+[eE][+-]?\d",
                      code(name))
    assert not found, f"{name}: {found[0]}"


@over(C)
def test_no_typedef_of_a_struct(name):
    """Of a function that returns one there may be."""
    assert not re.search(r"\btypedef\s+(struct|union|enum)\b[^(;]*[{;]", code(name))


@over(C)
def test_no_assignment_in_a_condition(name):
    for match in re.finditer(r"\b(if|while|switch)\s*\(", code(name)):
        depth, at = 1, match.end()
        content = code(name)
        while depth and at < len(content):
            depth += (content[at] == "(") - (content[at] == ")")
            at += 1
        condition = content[match.end():at - 1]
        # A compound literal's initialisers are no assignment.
        while re.search(r"\{[^{}]*\}", condition):
            condition = re.sub(r"\{[^{}]*\}", "", condition)
        assert not re.search(r"(?<![=!<>])=(?!=)", condition), f"{name}: {match[1]} ({condition.strip()})"


@over(C)
def test_no_variable_length_array(name):
    """-Wvla says so too; this is for compilers that do not know it."""
    assert "__VLA__" not in code(name)


# Functions over the limit, by name, each with its reason.  None so far.
LONG = {}
LINES_MAX = 70


@over(sources(".c"))
def test_functions_fit_a_screen(name):
    for function, first, lines in functions(name):
        assert lines <= LINES_MAX or (name, function) in LONG, f"{name}:{first}: {function} has {lines} lines"


def test_functions_are_found():
    """The rule above is worth nothing if functions are not recognised."""
    found = {function: lines for name in sources(".c") for function, _, lines in functions(name)}
    assert {"main", "ledger_submit", "audit_run", "json_parse"} <= set(found)
    assert len(found) > 500 and max(found.values()) > 30


def test_exempt_functions_exist():
    for name, function in LONG:
        assert any(found == function and lines > LINES_MAX for found, _, lines in functions(name))


COLUMNS_MAX = 120


@over(C)
def test_lines(name):
    content = text(name)
    assert content.endswith("\n") and not content.endswith("\n\n")
    for number, line in enumerate(content.split("\n"), 1):
        assert len(line.expandtabs(8)) <= COLUMNS_MAX, f"{name}:{number}: {len(line.expandtabs(8))} columns"
        assert line == line.rstrip(), f"{name}:{number}: blanks at the end"
        assert not line.startswith(" \t"), f"{name}:{number}: blanks before tabs"
        assert "\r" not in line


@over(C)
def test_nothing_is_left_to_do(name):
    found = re.search(r"\b(TODO|FIXME|XXX|HACK|WIP|STUB)\b", text(name))
    assert not found, f"{name}: {found[0]}"


@over(sources(".c"))
def test_no_code_in_comments(name):
    for comment in re.findall(r"/\*.*?\*/", text(name), re.S):
        assert not re.search(r";\s*(\n|\*/)\s*", comment) or not re.search(r"\w\(.*\);", comment), f"{name}: {comment}"
