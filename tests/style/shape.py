"""The shape of the source in figures: `make shape` prints them, test_shape.py holds them.

Only C under src/ counts: .c, .h and .def; comments count in every language, tests/ included.  A room is a folder.  A unit is a file with the header of its name.
"""

import ast
import collections
import functools
import re
import subprocess
import sys

from source import TOP, code, files, functions, sources, text

COMMENT = re.compile(r"/\*(.*?)\*/|//([^\n]*)", re.S)
# Words that a sentence of a comment may not begin with: its subject is a noun, and comes first.
OPENINGS = re.compile(r"(What|Who|Whoever|Whom|Whose|Whatever|That which|Those who|So too|So is|So are|Nor|Neither|He|She|They|It|"
                      r"This|These|Likewise|The same|Such|Some|Else|Now|Then)\b(?!')")
# A call of a checker counts as one assertion; test_shape.py holds that each checker makes at least two.
ASSERTS = re.compile(r"(?<!void )\b(CHECK|UNREACHABLE|_Static_assert|static_assert|lock_assert_held|row_check_\w+|queue_check)\b\s*\(")


def room(name):
    return "/".join(name.split("/")[1:-1]) or "."


def lines_by_room():
    counted = collections.Counter()
    for name in sources(".c", ".h", ".def"):
        counted[room(name)] += text(name).count("\n")
    return counted


def unit(name):
    return re.sub(r"\.(c|h)$", "", name.removeprefix("src/"))


def circles():
    """Groups of units that include each other, directly or by way of others."""
    uses = collections.defaultdict(set)
    for name in sources(".c", ".h"):
        for included in re.findall(r'^\s*#\s*include\s+"([^"]+)\.h"', text(name), re.M):
            if included != unit(name):
                uses[unit(name)].add(included)
    found, index, low, stack = [], {}, {}, []

    def visit(one):
        index[one] = low[one] = len(index)
        stack.append(one)
        for other in uses[one]:
            if other not in index:
                visit(other)
                low[one] = min(low[one], low[other])
            elif other in stack:
                low[one] = min(low[one], index[other])
        if low[one] == index[one]:
            group = stack[stack.index(one):]
            del stack[stack.index(one):]
            if len(group) > 1:
                found.append(sorted(group))

    for one in sorted(uses):
        if one not in index:
            visit(one)
    return found


@functools.cache
def all_functions():
    return [(name, *found) for name in sources(".c") for found in functions(name)]


def long_functions(most=70):
    return [(name, function, length) for name, function, _, length in all_functions() if length > most]


def asserts_per_function():
    """By room: assertions that can fail, for each function."""
    asserted, counted = collections.Counter(), collections.Counter()
    for name in sources(".c"):
        asserted[room(name)] += len(ASSERTS.findall(code(name)))
        counted[room(name)] += sum(1 for _ in functions(name))
    return {place: asserted[place] / counted[place] for place in counted}


def checks_of(name):
    """(function, CHECKs in it) for each function of a file."""
    lines = code(name).split("\n")
    return [(function, "\n".join(lines[first - 1:first - 1 + length]).count("CHECK("))
            for function, first, length in functions(name)]


def unformatted():
    """Files that clang-format would change; None where there is no clang-format 14: others break lines elsewhere."""
    try:
        version = subprocess.run(["clang-format", "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    except FileNotFoundError:
        return None
    if " version 14." not in version:
        return None
    names = sources(".c", ".h") + sources(".c", ".h", under="tests/")
    done = subprocess.run(["clang-format", "--output-replacements-xml", *names], cwd=TOP,
                          stdout=subprocess.PIPE, text=True, check=True)
    documents = done.stdout.split("<?xml")[1:]
    return [name for name, document in zip(names, documents, strict=True) if "<replacement " in document]


def comments(*names):
    """(file, text) of each comment of the files, src/ without any, its lines joined."""
    for name in names or sources(".c", ".h", ".def"):
        for match in COMMENT.finditer(text(name)):
            said = re.sub(r"\s*\n\s*\*?\s*", " ", match[1] or match[2] or "").strip()
            if said and not re.fullmatch(r"-+.*-+", said):
                yield name, said


# Files in other languages, outside of vendor/.  Released files of sql/ are never edited.
SCRIPTS = re.compile(r"(?:web|clients|demo|docs|debian|nginx|apache|tests)/.*\.(?:js|php|css|py|conf|sh)|tests/(?:run|sanitized|lint)"
                     r"|quickstart|Makefile\.am|configure\.ac"
                     r"|sql/(?!00[1-3]_)\w+\.sql")
BLOCK = re.compile(r"/\*\*?(.*?)\*/", re.S)
LINES = re.compile(r"((?:^[ \t]*(?:#|//|--)[^\n]*\n)+)", re.M)


def docstrings(name):
    for node in ast.walk(ast.parse(text(name))):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            said = ast.get_docstring(node)
            if said:
                yield " ".join(said.split())


def other_comments():
    """(file, text) of each comment in other languages that has its lines for itself, and of Python's docstrings."""
    for name in files():
        if not SCRIPTS.fullmatch(name) or "/vendor/" in name:
            continue
        if name.endswith(".py") or text(name).startswith("#!/usr/bin/python3"):
            yield from ((name, said) for said in docstrings(name))
        blocks = BLOCK.findall(text(name)) if name.endswith((".js", ".php", ".css")) else []
        for found in blocks + LINES.findall(text(name)):
            said = re.sub(r"\s*(?:^|\n)\s*(?:\*|#|//|--)?[ \t]*", " ", found).strip()
            if said:
                yield name, said


# Words of this project's own for things that the field has a term for (conn_set, listener, completion, request buffer …).
OWN_WORDS = re.compile(r"(?<![a-z])(lobby|stranger|turnstile|lane|flight|bell|tape|seal)s?(?![a-z])", re.I)


def own_words():
    """(file, line) of each use in code, comments and pages; "in flight" is the field's."""
    for name in files():
        if re.match(r"(src|sql|man|docs|web|clients|nginx|apache)/|[A-Z]\w+\.md", name) and "/vendor/" not in name \
                and name != "NEWS.md" and not name.endswith(".png"):
            for line in text(name).split("\n"):
                if OWN_WORDS.search(re.sub(r"in[ -]flight", "", line)):
                    yield name, line.strip()


def forbidden_openings():
    of_tests = comments(*sources(".c", ".h", under="tests/"))
    return [(name, said) for name, said in (*comments(), *of_tests, *other_comments()) if OPENINGS.match(said)]


def whats():
    """"what" for each 1,000 words of comments."""
    words = [word.lower() for _, said in comments() for word in re.findall(r"[A-Za-z]+", said)]
    return 1000 * words.count("what") / len(words)


def shared_static_names():
    """Names of static functions that stand in more than one file."""
    where = collections.defaultdict(set)
    for name in sources(".c"):
        for function in re.findall(r"^static [^;={]*?\b(\w+)\([^;]*?\)\n\{", code(name), re.M | re.S):
            where[function].add(name)
    return {function: sorted(found) for function, found in where.items() if len(found) > 1}


def main():
    by_room = lines_by_room()
    whole = sum(by_room.values())
    for place, count in by_room.most_common():
        print(f"{count:7} lines {100 * count / whole:5.1f} %  {place}")
    asserted = asserts_per_function()
    print(f"{whole:7} lines in all; the biggest room has {100 * max(by_room.values()) / whole:.1f} %")
    print(f"{len(circles()):7} circles between units", *("\n          " + " ".join(group) for group in circles()))
    print(f"{len(long_functions()):7} of {len(all_functions())} functions with more than 70 lines")
    for place in sorted(asserted):
        print(f"{asserted[place]:7.2f} assertions for each function in {place}")
    changed = unformatted()
    print("      ? files that clang-format would change: version 14 is not installed" if changed is None
          else f"{len(changed):7} files that clang-format would change")
    print(f"{len(forbidden_openings()):7} comments that begin with a forbidden word")
    print(f'{whats():7.2f} "what" for each 1,000 words of comments')
    print(f"{len(shared_static_names()):7} names of static functions that stand in more than one file")
    return 0


if __name__ == "__main__":
    sys.exit(main())
