#!/usr/bin/python3
"""Prints docs/settings.md, made from src/config.def: `make settings` writes it."""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[1]
HEAD = """# Settings

octroi reads `/etc/octroi/octroi.conf`, lines of `key = value`. Each key is also the environment variable `OCTROI_<KEY>`,
which wins over the file. A secret can also be given as `<key>_file`, the path of a file that holds it.
`octroi -t` checks the file. octroi.conf(5) has the same list. This page is made from `src/config.def`.

| key | default | |
|---|---|---|
"""
KEY = re.compile(r'^KEY\((\w+), (\w+), (?:"([^"]*)"|([^",]+)), [^"]*, "([^"]*)"\)$', re.M)


def page():
    rows = []
    for type, name, text, number, help in KEY.findall((TOP / "src/config.def").read_text()):
        default = {"0": "off", "1": "on"}[number] if type == "SWITCH" else text or number
        rows.append(f"| `{name}` | {f'`{default}`' if default else ''} | {help} |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(page())
