"""HACKING.md, SECURITY.md and docs/decisions name only things that exist; all pages are in plain English; .editorconfig
is true."""

import fnmatch
import functools
import io
import re
import tokenize

from source import TOP, definitions, files, over, text

DECISIONS = [name for name in files() if re.fullmatch(r"docs/decisions/\d{4}-[\w-]+\.md", name)]
INDEX = "docs/decisions/README.md"
DOCUMENTS = ["HACKING.md", "SECURITY.md", INDEX, *DECISIONS]
# Pages of this project: not those about other people's files.  NEWS keeps the sentences of what was released.
PAGES = [name for name in files() if name.endswith(".md") and "/vendor/" not in name and "/vectors/" not in name]
PROSE = [name for name in PAGES if name not in ("NEWS.md", "BENCHMARKS.md")]  # the last is written by tests/bench
COLUMNS_MAX = 140
WORDS_MAX = 25
FORBIDDEN = re.compile(r"(?:What|Who|Whoever|That which|Those who|So too|Nor)\b")
FOLDERS = "src|sql|tests|man|nginx|apache|demo|docs|m4"


def blocks(document):
    """The lines of commands, without their comments; a line that ends with a backslash goes on."""
    for block in re.findall(r"^```\n(.*?)^```$", text(document), re.M | re.S):
        for line in block.replace("\\\n", "").splitlines():
            yield re.sub(r"\s+#\s.*", "", line)


def ticked(document):
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```\n.*?^```$", "", text(document), flags=re.M | re.S))


def commands(document):
    return [*blocks(document), *ticked(document)]


def test_there_are_documents():
    assert len(DECISIONS) >= 10 and set(DOCUMENTS) <= set(files())
    assert len(list(blocks("HACKING.md"))) > 50


# ---- what is named exists --------------------------------------------------------------------------------

@over(DOCUMENTS)
def test_paths_exist(document):
    for path in re.findall(rf"(?<![\w/.-])(?:{FOLDERS})/[\w./-]*\w", text(document)):
        # A program is made of the C file of its name.
        assert (TOP / path).exists() or (TOP / f"{path}.c").exists(), f"{document}: {path}"
    for name in re.findall(r"`(\.?\w[\w.-]*\.(?:md|am|ac|svg)|\./quickstart)`", text(document)):
        assert (TOP / name).exists(), f"{document}: {name}"


@over(DOCUMENTS)
def test_paths_are_whole(document):
    """So that a move can be followed by looking for the path."""
    for name in ticked(document):
        assert not re.search(rf"^(?:{FOLDERS})/[^ ]*[{{}}*?]", name), f"{document}: {name}"


@over(DOCUMENTS)
def test_programs_of_the_build_exist(document):
    for path in re.findall(r"(?<![\w/])build/([\w./-]*\w)", " ".join(commands(document))):
        source = TOP / f"tests/{path}.c" if path.startswith("fuzz/fuzz_") else TOP / f"{path}.c"
        made = path in ("octroi", "octroictl", "sanitized", "fuzz", "fuzz/crashes", "deb", "deb-check")
        assert made or source.exists(), f"{document}: build/{path}"


OF_AUTOMAKE = {"all", "check", "install", "clean", "distclean", "dist", "distcheck"}


@over(DOCUMENTS)
def test_make_targets_exist(document):
    makefile = text("Makefile.am")
    targets = OF_AUTOMAKE | {name for line in re.findall(r"^([\w -]+):(?!=)", makefile, re.M) for name in line.split()}
    for command in commands(document):
        if not command.startswith("make "):
            continue
        command = re.sub(r"(\w+)=('[^']*'|\S+)", r"\1=", command)
        for word in command.split("#")[0].split()[1:]:
            if word.endswith("="):
                assert re.search(rf"\b{word[:-1]}\b", makefile), f"{document}: {word}"
            elif not word.startswith("-") and word != "build":
                assert word in targets or re.search(rf"(?<=\s){word}(?=\s)", makefile), f"{document}: make {word}"


# Where the options of a command are written down.
TAKERS = {"tests/run": "tests/run", "./quickstart": "quickstart", "../configure": "configure.ac",
          "SANITIZED_OPTIONS": "tests/sanitized", "BENCH_OPTIONS": "tests/bench/bench.py", "FUZZ_OPTIONS": "tests/fuzz/fuzz.py"}


@over(DOCUMENTS)
def test_options_exist(document):
    for command in commands(document):
        for taker, source in TAKERS.items():
            if taker not in command:
                continue
            known = text(source) + (text("tests/run") if taker == "SANITIZED_OPTIONS" else "")
            for option in re.findall(r"(?<=[\s'=])--([\w-]+)", command.split(taker, 1)[1]):
                wanted = option.removeprefix("enable-") if taker == "../configure" else f"--{option}"
                assert re.search(rf"{wanted}\b", known), f"{document}: {taker} --{option}"


@over(DOCUMENTS)
def test_commands_of_octroictl_exist(document):
    synopses = {words.strip('"'): synopsis for words, _, synopsis, _ in definitions("src/ctl/ctl_commands.def", "CTL")}
    for command in commands(document):
        found = re.search(r"(?:^|/)octroictl ((?:--\w+ )*)([a-z ]+)(.*)", command)
        if not found:
            continue
        words = [w for w in synopses if (found[2] + " ").startswith(w + " ")]
        assert words, f"{document}: {command}"
        for option in re.findall(r"--[\w-]+", found[3]):
            assert option in synopses[max(words, key=len)], f"{document}: {command}: {option}"


@functools.cache
def tree():
    own = (*DOCUMENTS, "tests/style/test_documents.py")
    return "\n".join(text(name) for name in files() if name not in own and not name.startswith("tests/fuzz/corpus/")
                     and name.endswith((".c", ".h", ".def", ".py", ".sql", ".am", ".ac", ".m4", ".md", ".conf", "/run", ".json")))


@over(DOCUMENTS)
def test_names_exist(document):
    """Of functions, tests, columns, settings, constants: whatever is written as code and has a _ in it."""
    known = tree()
    named = {word for code in ticked(document) for word in re.findall(r"(?<![\w./-])\w+_\w+(?![\w/-]|\.\w)", code)}
    for line in blocks(document):
        named |= set(re.findall(r"\btest_\w+", line))
    for word in named:
        assert re.search(rf"(?<!\w){word}" if word.endswith("_") else rf"\b{word}\b", known), f"{document}: {word}"


def test_a_name_that_does_not_exist_is_found():
    assert not re.search(r"\bno_such_name_anywhere\b", tree()) and re.search(r"\battempt_run\b", tree())


# ---- decisions -------------------------------------------------------------------------------------------

def test_the_index_is_complete():
    rows = re.findall(r"^\| \[(\d{4})\]\(([\w-]+\.md)\) \| (.+?) \| (\d{4}-\d\d-\d\d) \| (.+?) \|$", text(INDEX), re.M)
    assert [f"docs/decisions/{name}" for _, name, *_ in rows] == DECISIONS
    assert [number for number, *_ in rows] == [f"{n:04}" for n in range(1, len(rows) + 1)]
    for number, name, title, date, status in rows:
        head = text(f"docs/decisions/{name}").split("\n")
        assert name.startswith(number) and head[0] == f"# {number}: {title}", name
        assert re.fullmatch(rf"Taken {date} in commit [0-9a-f]{{7,}}\. Status: {status}\.", head[2]), name


@over(DECISIONS)
def test_a_decision_is_a_page(document):
    assert re.findall(r"^## (.*)$", text(document), re.M) == ["Why", "Decision", "Price", "Tried and measured",
                                                             "Reasons to change it"], document
    assert text(document).count("\n") <= 60, document


# ---- plain English ---------------------------------------------------------------------------------------

def sentences(document, tables=True):
    """Prose, a paragraph, a point of a list or a cell of a table at a time; what is written as code counts as one word."""
    prose = re.sub(r"^```\n.*?^```$", "", text(document), flags=re.M | re.S)
    prose = re.sub(r"^#.*$", "\n", re.sub(r"`[^`]*`", "code", prose), flags=re.M)
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:\d+\.|-|\||#))", prose):
        if paragraph.lstrip().startswith("|") and not tables:
            continue
        for cell in paragraph.split(" | "):
            plain = re.sub(r"^[\s|#*]*(?:\d+\. |- )?", "", " ".join(cell.split()))
            yield from re.split(r"(?<=[.!?])\**\s+", plain)


@over(DOCUMENTS)
def test_lines_are_short(document):
    for number, line in enumerate(text(document).split("\n"), 1):
        assert len(line) <= COLUMNS_MAX, f"{document}:{number}: {len(line)} columns"


@over(PAGES)
def test_the_subject_comes_first(document):
    for sentence in sentences(document):
        assert not FORBIDDEN.match(sentence.lstrip("*\"(")), f"{document}: {sentence}"


@over(PROSE)
def test_sentences_are_short(document):
    """Outside of tables, whose cells are lists; in the documents, there too."""
    for sentence in sentences(document, tables=document in DOCUMENTS):
        assert len(sentence.split()) <= WORDS_MAX, f"{document}: {len(sentence.split())} words: {sentence}"


def test_forbidden_openings_are_found():
    for opening in ("What is", "Who asks", "Whoever asks", "That which is", "Those who ask", "So too of it", "Nor is it"):
        assert FORBIDDEN.match(opening)
    assert not FORBIDDEN.match("Nobody asks") and not FORBIDDEN.match("Whole requests are read")


# ---- .editorconfig ---------------------------------------------------------------------------------------

def rules():
    """[(patterns, {property: value})], with braces spelled out one level deep or two."""
    sections = re.findall(r"^\[(.*)\]\n((?:\w+ = .*\n)*)", text(".editorconfig"), re.M)
    return [(expand(pattern), dict(re.findall(r"^(\w+) = (.*)$", body, re.M))) for pattern, body in sections]


def expand(pattern):
    found = re.search(r"\{([^{}]*)\}", pattern)
    if not found:
        return [pattern]
    return [one for part in found[1].split(",") for one in expand(pattern[:found.start()] + part + pattern[found.end():])]


def properties(name):
    kept = {}
    for patterns, body in rules():
        if any(fnmatch.fnmatchcase(name, p) if "/" in p else fnmatch.fnmatchcase(name.rsplit("/", 1)[-1], p) for p in patterns):
            kept.update(body)
    return {key: value for key, value in kept.items() if value != "unset"}


def spaces_of_python(name):
    return [token.string for token in tokenize.generate_tokens(io.StringIO(text(name)).readline) if token.type == tokenize.INDENT]


def indents(name):
    """The beginning of each line that indents: comments and what is aligned to the line above left out."""
    if name.endswith(".py") or text(name).startswith("#!/usr/bin/python3"):
        return spaces_of_python(name)
    before, found = "", []
    for line in text(name).split("\n"):
        blank = re.match(r"[ \t]*", line)[0]
        if before.endswith(("{", ";")) and blank and not line.lstrip().startswith("*"):
            found.append(blank)
        before = line.rstrip()
    return found


PLAIN = [name for name in files() if not name.endswith((".gz", ".png", ".woff2")) and properties(name).get("charset")]


@over(PLAIN)
def test_editorconfig_is_true(name):
    kept, content = properties(name), text(name)
    assert "\r" not in content, f"{name}: carriage returns"
    assert not content or content.endswith("\n"), f"{name}: no line feed at the end"
    if "trim_trailing_whitespace" in kept:
        assert not re.search(r"[ \t]$", content, re.M), f"{name}: blanks at the end of a line"
    if "max_line_length" in kept and name.startswith("src/"):
        assert all(len(line.expandtabs(8)) <= int(kept["max_line_length"]) for line in content.split("\n")), name
    if "indent_style" in kept:
        wrong = " " if kept["indent_style"] == "tab" else "\t"
        found = indents(name)
        bad = [blank for blank in found if blank.startswith(wrong)]
        # clang-format aligns the members of a few initialisers with blanks.
        assert len(bad) * 50 <= len(found), f"{name}: {len(bad)} of {len(found)} lines are not indented by {kept['indent_style']}s"


def test_editorconfig_is_read():
    assert properties("src/main.c")["indent_style"] == "tab" and properties("tests/run")["indent_size"] == "4"
    assert "trim_trailing_whitespace" not in properties("tests/sabotage/float-price.patch")
    assert "charset" not in properties("tests/fuzz/corpus/json/x") and len(PLAIN) > 300
    assert len(indents("src/main.c")) > 50 and len(indents("tests/run")) > 30
