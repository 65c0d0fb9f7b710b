#!/usr/bin/python3
"""Writes what was measured into BENCHMARKS.md: its tables and its picture are made of BUILD/bench/*.json.

    OCTROI_BUILD=build tests/bench/publish.py [--into FILE]

A table stands between the lines <!-- NAME --> and <!-- end -->.  What has not been measured keeps the table that it has.
"""

import argparse
import json
import os
import pathlib
import re
import sys

import plot
import targets

TOP = pathlib.Path(__file__).resolve().parents[2]
PARTS = ("octroi", "php", "null", "mariadbd", "nginx", "wrk")
LIBRARIES = 8  # of which the instructions are told apart


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def number(value, digits=0):
    return "" if value is None else f"{value:,.{digits}f}"


def accounts_of(row):
    return "" if not row["accounts"] else f"{row['accounts']:,}"


def origin(found):
    """When and of what a table is."""
    machine, options = found["machine"], found["options"]
    text = f"\n\nMeasured {machine['date']} at {machine['commit']}: {options['rounds']} rounds of {options['seconds']} s."
    if machine["load_average"] > machine["cores"] / 2:
        text += f" The machine was busy with other programs: load average {machine['load_average']} before."
    return text


def show_machine(data):
    m = next(iter(data.values()))["machine"]
    return table(("", ""), [
        ("processor", f"{m['processor']}, {m['cores']} cores for everything"), ("memory", f"{m['memory_gib']} GiB"),
        ("kernel", m["kernel"]), ("MariaDB", m["mariadb"]), ("nginx", m["nginx"]), ("PHP", m["php"]), ("wrk", m["wrk"])])


def show_targets(data):
    return table(("figure", "to reach", "reached", "met"), targets.judge(data))


def show_guard(data):
    found = data["guard"]
    return table(("side", "accounts", "connections", "requests/s", "p50 ms", "p99 ms", "to null", "to PHP"), [
        (row["side"], accounts_of(row), row["connections"], number(row["rate"]), number(row["p50_ms"], 2), number(row["p99_ms"], 2),
         number(row["to_null"], 2), number(row["to_php"], 2)) for row in found["rows"]]) + origin(found)


def show_processor(data):
    found = data["guard"]
    shown = [part for part in PARTS if any(part in row["cpu_us"] for row in found["rows"])]
    return table(("side", "accounts", "connections", *shown, "sum", "null's to it"), [
        (row["side"], accounts_of(row), row["connections"], *(number(row["cpu_us"].get(part)) for part in shown),
         number(sum(row["cpu_us"].values())), number(row["processor_to_null"], 2)) for row in found["rows"]]) + origin(found)


def show_conditions(data):
    found = data["conditions"]
    return table(("", "connections", "requests/s", "p50 ms", "p99 ms", "mariadbd", "octroi", "rate to the first", "processor time to the first"), [
        (row["side"], row["connections"], number(row["rate"]), number(row["p50_ms"], 2), number(row["p99_ms"], 2),
         *(number(row["cpu_us"][part]) for part in ("mariadbd", "octroi")), number(row["ratio"], 2),
         number(1 / row["processor_ratio"], 2)) for row in found["rows"]]) + origin(found)


def show_one_connection(data):
    found = data["one-connection"]
    rows = [(name, *(number(row[what][figure]) for what in ("authorize", "settle") for figure in ("p50_us", "p99_us")))
            for name, row in found["sides"].items()]
    return (table(("side", "authorize, median µs", "p99", "settle, median µs", "p99"), rows)
            + f"\n\nAppending 4 KiB to a file beside the database and fdatasync: {number(found['fdatasync_us'])} µs." + origin(found))


def show_credits(data):
    found = data["credits"]
    return table(("side", "connections", "requests/s", "p50 ms", "p99 ms", "to null"), [
        (row["side"], row["connections"], number(row["rate"]), number(row["p50_ms"], 2), number(row["p99_ms"], 2),
         number(row["to_null"], 2)) for row in found["rows"]]) + origin(found)


def show_instructions(data):
    found = data["instructions"]
    sums = {}
    for row in found["rows"]:
        for part, count in row["parts"].items():
            sums[part] = sums.get(part, 0) + count
    parts = sorted(sums, key=sums.get, reverse=True)[:LIBRARIES]
    return table(("request", "at once", "instructions", *parts, "rest"), [
        (row["request"], row["connections"], number(row["instructions"]), *(number(row["parts"].get(part, 0)) for part in parts),
         number(sum(count for part, count in row["parts"].items() if part not in parts))) for row in found["rows"]]) + (
             f"\n\nCounted {found['machine']['date']} at {found['machine']['commit']}.")


def show_memory(data):
    found = data["memory"]
    samples = found["samples"]
    shown = [samples[i * (len(samples) - 1) // 4] for i in range(5)] if len(samples) > 5 else samples
    return table(("requests", "resident MiB"), [(number(sample["requests"]), number(sample["kib"] / 1024, 1)) for sample in shown]) + (
        f"\n\n{found['connections']} connections; at most {number(found['most_kib'] / 1024, 1)} MiB." + origin(found))


def show_pages(data):
    found = data["pages"]
    return table(("accounts of the pages", "pages", "their requests/s", "guard, requests/s", "p50 ms", "p99 ms", "rate to none", "processor time to none"), [
        (row["side"], row["pages"] or "", number(row["asked"], 1) if row["pages"] else "", number(row["rate"]), number(row["p50_ms"], 2),
         number(row["p99_ms"], 2), number(row["ratio"], 2), number(1 / row["processor_ratio"], 2)) for row in found["rows"]]) + origin(found)


def show_meter(data):
    found = data["meter"]
    return table(("side", "answers", "connections", "chats/s", "p50 ms", "p99 ms", "resident MiB", "to LiteLLM"), [
        (row["side"], "streams" if row["stream"] else "whole", row["connections"], number(row["rate"]), number(row["p50_ms"], 1),
         number(row["p99_ms"], 1), number(row["memory_mib"]), number(row.get("to_litellm"), 1)) for row in found["rows"]]) + (
             f"\n\n{number(found['booked'])} chats were booked; {number(found['cut'])} of them were cut off where wrk ends.") + origin(found)


def show_growth(data):
    found = data["growth"]
    rows = [(figure["what"], figure["connections"], number(figure["small"]["rate"]), number(figure["grown"]["rate"]),
             number(figure["ratio"], 2)) for figure in found["figures"]]
    counts, pages = found["rows"], found["cursors"]
    return table(("", "connections", "small, requests/s", "grown, requests/s", "ratio"), rows) + (
        f"\n\nThe grown ledger: {number(counts['entries'])} entries, {number(counts['usages'])} usages and"
        f" {number(counts['transactions'])} transactions of {number(counts['accounts'])} accounts, made in"
        f" {number(found['seconds'])} s, with a buffer pool of {found['buffer_pool_mib']} MiB; `octroictl audit` reads all"
        f" of it in {number(found['audit_seconds'])} s and finds nothing."
        f"\n\nA page of {pages['page']} of an account's transactions: {number(pages['first_us'])} µs at the beginning,"
        f" {number(pages['deep_us'])} µs at depth {number(pages['depth'])}.") + origin(found)


# Name in BENCHMARKS.md: what it is made of, and how.
TABLES = {
    "machine": ((), show_machine),
    "targets": ((), show_targets),
    "guard": (("guard",), show_guard),
    "processor": (("guard",), show_processor),
    "conditions": (("conditions",), show_conditions),
    "one-connection": (("one-connection",), show_one_connection),
    "credits": (("credits",), show_credits),
    "instructions": (("instructions",), show_instructions),
    "memory": (("memory",), show_memory),
    "pages": (("pages",), show_pages),
    "meter": (("meter",), show_meter),
    "growth": (("growth",), show_growth),
}


def kept(made, before):
    """The table made, with the rows of the one before where a figure was not measured this time."""
    rows = {line.split("|")[1]: line for line in before.split("\n") if line.startswith("|")}
    return "\n".join(rows.get(line.split("|")[1], line) if "| not measured |" in line else line for line in made.split("\n"))


def filled(text, data):
    """text with the tables that data has something for; a name without its lines is a bug."""
    for name, (needs, show) in TABLES.items():
        if not data or any(need not in data for need in needs):
            continue
        pattern = rf"(<!-- {name} -->\n)(.*?)(<!-- end -->)"
        place = re.search(pattern, text, re.S)
        assert place, f"no place for {name}"
        made = kept(show(data), place[2])
        text = re.sub(pattern, lambda match, made=made: f"{match[1]}{made}\n{match[3]}", text, flags=re.S)
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=pathlib.Path, default=TOP / "BENCHMARKS.md", help="the picture is put beside it")
    options = parser.parse_args()
    directory = pathlib.Path(os.environ.get("OCTROI_BUILD", ".")) / "bench"
    data = {path.stem: json.loads(path.read_text()) for path in sorted(directory.glob("*.json"))}
    if not data:
        sys.exit(f"nothing has been measured: no JSON in {directory}")
    options.into.write_text(filled(options.into.read_text(), data))
    if "guard" in data:
        options.into.with_name("benchmarks.svg").write_text(plot.picture(data["guard"]["rows"]))
    print(f"{options.into}: {', '.join(data)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
