"""Mail of alerts, by a real SMTP server over TLS, read back by Python's email package."""

import email.utils
import html.parser
import json
import random
import subprocess
import tempfile
import time

import pytest

from guard import key_of
from mailserver import FROM, Mailbox, part
from octroi import Octroi, build_dir, wait_until

EURO = 1_000_000
HOUR_US = 3600 * 10**6
PAGE = "https://shop.example/billing"
KINDS = ("balance_low", "balance_depleted")


@pytest.fixture(scope="module")
def box():
    with Mailbox(starttls=True, login=("octroi", "a pass word: ü")) as made:
        yield made


@pytest.fixture(scope="module")
def o(box):
    with Octroi("nginx", settings=box.settings(topup_url=PAGE)) as made:
        yield made


@pytest.fixture(autouse=True)
def manners(request):
    yield
    if "box" in request.fixturenames:
        box = request.getfixturevalue("box")
        box.rcpt, box.data = lambda address: None, lambda message: None


def customer(o, address, **profile):
    account = o.account(funds_micros=3 * EURO, email=address)
    assert not profile or o.call("PUT", f"/api/accounts/{account}", json=profile).status == 200
    return account


def cross(o, account):
    o.fund(account, -2 * EURO)
    o.fund(account, 2 * EURO)


def rows(o, account, columns="state, attempts, sent_mask, dead_mask, error"):
    return o.sql(f"SELECT {columns} FROM mails WHERE account_id = {key_of(account)} ORDER BY kind, number")


def due_now(o, account):
    o.sql(f"UPDATE mails SET next_at_us = 0 WHERE account_id = {key_of(account)}")


def mail_to(box, address, count=1):
    wait_until(lambda: len(box.of(address)) == count, 20, f"mail to {address}")
    return box.of(address)[-1]


class Links(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links, self.tags, self.words = [], set(), ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.links += [value for name, value in attributes if name == "href"]

    def handle_data(self, data):
        self.words += data


@pytest.mark.parametrize("locale, subject, hello, figure", [
    ("en-GB", "Your balance is low", "Hello Zoë Ünal,", "balance 1.00 EUR, threshold 2.00 EUR"),
    ("fr-FR", "Votre solde est bas", "Bonjour Zoë Ünal,", "solde 1,00 EUR, seuil 2,00 EUR")])
def test_in_both_languages(o, box, locale, subject, hello, figure):
    address = f"{locale.lower()}@example.org"
    account = customer(o, address, name="Zoë Ünal", locale=locale)
    cross(o, account)
    message = mail_to(box, address)
    assert message["Subject"] == f"{subject} - {account}"
    [to] = message["To"].addresses
    assert (to.display_name, to.addr_spec) == ("Zoë Ünal", address)
    assert message["From"] == f"<{FROM}>" or message["From"] == FROM
    assert message.get_content_type() == "multipart/alternative" and message["MIME-Version"] == "1.0"
    assert [p.get_content_type() for p in message.iter_parts()] == ["text/plain", "text/html"]
    assert {p.get_content_charset() for p in message.iter_parts()} == {"utf-8"}
    text, page = part(message, "plain"), Links(part(message, "html"))
    for said in (text, page.words):
        assert hello in said and figure in said and account in said and PAGE in said
    assert page.links == [PAGE]
    assert abs(email.utils.parsedate_to_datetime(message["Date"]).timestamp() - time.time()) < 120
    assert message["Message-ID"].endswith("@octroi.example>") and message["Auto-Submitted"] == "auto-generated"
    unsubscribe = message["List-Unsubscribe"]
    assert unsubscribe.startswith(f"<mailto:{FROM}?subject=unsubscribe%20") and unsubscribe.endswith(f"<{PAGE}>")
    assert not message.defects and all(box.tls)
    assert max(len(line) for raw in box.raw for line in raw.split(b"\r\n")) <= 998


def hostile_names(count):
    """Line ends, headers, markup, encoded words, other scripts, cut characters, long ones."""
    r = random.Random(20)
    pieces = ["\u2028", "\u2029", "\u0085", "Bcc: x@evil.example", "<script>alert(1)</script>", "=?UTF-8?B?QmNjOiB4?=", '"', "\\", "<x@evil.example>",
              ", y@evil.example", ";", ":", "é", "日本", "😀", "\u202e", "&amp;", "'", "--", ".", "%0d%0aBcc: z", "\u00a0", "a" * 90, "\u0301", "(", ")"]
    return ["".join(r.choice(pieces) for _ in range(r.randrange(1, 9)))[:100] for _ in range(count)]


def test_two_thousand_hostile_names():
    """Written into the tables, past the API's own refusals: no name becomes a header, an address or markup."""
    names = [*hostile_names(1900), *[f"A\r\nBcc: evil{i}@evil.example\r\n\r\n<b>{i}" for i in range(100)]]
    with Mailbox() as m, Octroi("nginx", settings=m.settings(), audit=False) as o:
        accounts = [o.account(email=f"v{i}@example.org") for i in range(len(names))]
        o.sql("".join(f"UPDATE profiles SET name = CONVERT(0x{name.encode().hex()} USING utf8mb4) WHERE account_id = {key_of(account)};"
                      for account, name in zip(accounts, names)))
        o.sql("INSERT INTO alerts (account_id, seq, kind, threshold_micros, arming, balance_micros, created_at_us)"
              " SELECT id, 1, 0, 2000000, 1, 1000000, created_at_us FROM accounts")
        wait_until(lambda: len(m.raw) >= len(names), 240, "all mails", every=0.5)
        received = dict(m.deliveries)
        assert len(m.deliveries) == len(received) == len(names)
        allowed = {"Date", "From", "To", "Subject", "Message-ID", "List-Unsubscribe", "Auto-Submitted", "Content-Type", "Mime-Version"}
        for i, (account, name) in enumerate(zip(accounts, names)):
            message = received[f"v{i}@example.org"]
            assert {key.title().replace("Message-Id", "Message-ID") for key in message.keys()} == allowed, name
            assert len(message.keys()) == len(allowed) and not message.defects, name
            [to] = message["To"].addresses
            assert to.addr_spec == f"v{i}@example.org", name
            shown = "".join(" " if c < " " or c == "\x7f" else c for c in name)
            assert squeezed(to.display_name) == squeezed(shown), (to.display_name, name)
            assert message["Subject"] == f"Your balance is low - {account}"
            page = Links(part(message, "html"))
            assert page.tags == {"html", "head", "meta", "title", "body", "p", "ul", "li", "br", "a", "small"}, name
            assert page.links == [o.url + "/billing"], name
            assert squeezed(shown) in squeezed(page.words), name


def squeezed(text):
    """Without blanks, of which a reader of heads keeps one, and without what Python's own parser leaves out."""
    return "".join(text.split()).replace('"', "").replace("\\", "")


def test_one_mail_a_kind_and_hour_then_a_digest(o, box):
    account = customer(o, "often@example.org")
    cross(o, account)
    first = mail_to(box, "often@example.org")
    for _ in range(25):
        cross(o, account)
    o.ctl("account", "set", account, "--status", "suspended")
    wait_until(lambda: len(box.of("often@example.org")) == 2, 20, "another kind's mail")
    wait_until(lambda: len(rows(o, account)) == 3, 20, "the digest's row")
    [(wait_us,)] = o.sql("SELECT due_at_us - (SELECT due_at_us FROM mails f WHERE f.account_id = m.account_id AND f.kind = 0 AND f.number = 1)"
                         f" FROM mails m WHERE account_id = {key_of(account)} AND kind = 0 AND number = 2")
    assert int(wait_us) == HOUR_US
    due_now(o, account)
    digest = mail_to(box, "often@example.org", 3)
    assert first["Subject"] == f"Your balance is low - {account}"
    assert digest["Subject"] == f"Your balance is low (25) - {account}"
    assert part(digest, "plain").count(", threshold") == 20 and "and more of these: 5" in part(digest, "plain")
    cross(o, account)
    wait_until(lambda: len(rows(o, account)) == 4, 20, "the next digest's row")
    assert len(box.of("often@example.org")) == 3


def test_greylisting_and_a_full_mailbox(o, box):
    """4xx: the same mail comes again, and arrives once."""
    answers = {"grey@example.org": "451 4.7.1 try again later", "full@example.org": "452 4.2.2 mailbox full"}
    box.rcpt = lambda address: answers.get(address)
    accounts = {address: customer(o, address) for address in list(answers)}
    for account in accounts.values():
        cross(o, account)
    for address, account in accounts.items():
        wait_until(lambda: [row[:2] for row in rows(o, account)] == [("0", "1")] and rows(o, account)[0][4], 20, "the refusal")
        assert answers[address][:3] in rows(o, account)[0][4] and "try again" not in rows(o, account)[0][4]
        [(pause_us,)] = rows(o, account, "next_at_us - UNIX_TIMESTAMP(NOW(6)) * 1000000")
        assert 30 * 10**6 < float(pause_us) < 73 * 10**6
    assert not box.of("grey@example.org") and not box.of("full@example.org")
    answers.clear()
    for address, account in accounts.items():
        due_now(o, account)
        mail_to(box, address)
        wait_until(lambda: rows(o, account)[0][:3] == ("1", "2", "1"), 20, "its end")


def test_refused_for_good(o, box):
    box.rcpt = lambda address: "550 5.1.1 no such user" if address == "nobody@example.org" else None
    account = customer(o, "nobody@example.org")
    cross(o, account)
    wait_until(lambda: rows(o, account) and rows(o, account)[0][0] == "2", 20, "the end")
    assert rows(o, account)[0][1:4] == ("1", "0", "1")
    wait_until(lambda: f"event=mail_failed account={account}" in o.log() or f'event=mail_failed account="{account}"' in o.log(),
               what="the log's line")


def test_refused_after_the_text(o, box):
    box.data = lambda message: "554 5.7.1 looks like spam" if "spam" in message["To"] else None
    account = customer(o, "spam@example.org")
    cross(o, account)
    wait_until(lambda: rows(o, account) and rows(o, account)[0][0] == "2", 20, "the end")
    assert "554" in rows(o, account)[0][4] and not box.of("spam@example.org")


def put(o, account, **settings):
    return o.call("PUT", f"/api/credits/alerts?account={account}", json=settings)


def test_addresses_and_language_of_its_own(o, box):
    """One address is refused, and another waits: the others have the mail once, and the last one has it later."""
    waits = {"b@own.example"}
    box.rcpt = lambda address: "550 no" if address == "c@own.example" else "451 later" if address in waits else None
    account = customer(o, "not-this@own.example", locale="en")
    addresses = ["a@own.example", "b@own.example", "c@own.example"]
    changed = put(o, account, addresses=addresses, language="fr").json
    assert (changed["addresses"], changed["language"], changed["standard"]) == (addresses, "fr", True)
    cross(o, account)
    assert mail_to(box, "a@own.example")["Subject"].startswith("Votre solde est bas")
    wait_until(lambda: rows(o, account)[0][:4] == ("0", "1", "1", "4"), 20, "the first attempt's end")
    waits.clear()
    due_now(o, account)
    mail_to(box, "b@own.example")
    wait_until(lambda: rows(o, account)[0][:4] == ("2", "2", "3", "4"), 20, "the end")
    assert [to for to, _ in box.deliveries if to.endswith("own.example")] == ["a@own.example", "b@own.example"]


def test_nowhere_and_back(o, box):
    account = customer(o, "back@own.example")
    assert put(o, account, addresses=[]).json["addresses"] == []
    cross(o, account)
    wait_until(lambda: [row[0] for row in rows(o, account)] == ["1"], 20, "the end")
    assert not box.of("back@own.example")
    shown = put(o, account).json
    assert (shown["addresses"], shown["language"]) == (None, None)


@pytest.mark.parametrize("field, value", [("addresses", ["x"]), ("addresses", ["a@b", 5]), ("addresses", ["a@b\r\nBcc: c@d"]), ("addresses", "a@b"),
                                          ("addresses", ["a@b c@d"]), ("addresses", ["-a@b"]), ("addresses", ["a@b"] * 6), ("addresses", ["é@b"]),
                                          ("addresses", ["a" * 65 + "@b"]), ("language", "de"), ("language", "FR"), ("language", 5)])
def test_contacts_that_are_none(o, field, value):
    account = o.account()
    refused = put(o, account, **{field: value})
    assert refused.status == 400 and refused.json["field"] == field, refused


def test_no_address_no_mail(o, box):
    account = o.account(funds_micros=3 * EURO)
    cross(o, account)
    wait_until(lambda: [row[0] for row in rows(o, account)] == ["1"], 20, "the end")


def test_a_slow_server_holds_up_nothing_else(o, box):
    box.data = lambda message: box.stopping.wait(4) and None
    slow = customer(o, "slow@example.org")
    cross(o, slow)
    begun = time.monotonic()
    for _ in range(10):
        assert o.post("/api/guard/authorize", {"account": slow, "model": "gpt-4o", "maxOutputTokens": 10}, key="guard").status in (200, 402)
    assert time.monotonic() - begun < 4
    mail_to(box, "slow@example.org")


def test_a_test_mail(o, box):
    for language, subject in (("en", "A test of octroi"), ("fr", "Un essai d'octroi")):
        shown = json.loads(o.ctl("alert", "test", f"{language}@test.example", "--lang", language, "--json").stdout)
        assert shown == {"sent": True, "code": 250, "error": ""}
        assert mail_to(box, f"{language}@test.example")["Subject"] == subject
    box.rcpt = lambda address: "550 no"
    refused = o.ctl("alert", "test", "x@test.example", "--json", check=False)
    assert refused.returncode == 1 and json.loads(refused.stdout)["code"] == 550
    for address in ("x", "x@", "@x", "a b@x", "x@y\r\nBcc: z@y", "<x@y>", "x@y,z@y", "é@x", '"x"@y', "-x@y"):
        assert o.ctl("alert", "test", address, check=False).returncode == 2, address


def test_no_secret_is_told(o, box):
    assert box.login[1] not in o.log()
    for raw in box.raw:
        assert box.login[1].encode() not in raw


# ---- servers in trouble --------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["another's certificate", "wrong password", "away"])
def test_a_server_that_takes_nothing(trouble):
    """The mail waits, without its text or the password having been said, and goes once the server is mended."""
    with Mailbox(login=("octroi", "right")) as m, Mailbox() as other:
        settings = m.settings()
        if trouble == "another's certificate":
            settings["outgoing_ca_file"] = str(other.certificate)
        elif trouble == "wrong password":
            settings["smtp_password"] = "wrong"
        else:
            settings["smtp_url"] = "smtps://localhost:1"
        with Octroi("nginx", settings=settings) as o:
            account = customer(o, "ann@example.org")
            cross(o, account)
            wait_until(lambda: rows(o, account) and rows(o, account)[0][4], 20, "a failure")
            assert rows(o, account)[0][0] == "0" and not m.deliveries
            o.kill("octroi")
            o.start(**m.settings())
            due_now(o, account)
            mail_to(m, "ann@example.org")


def test_killed_between_sending_and_noting():
    """kill -9 while the server has taken the mail and octroi does not know yet: it comes again as the same mail."""
    with Mailbox() as m, Octroi("nginx", settings=m.settings()) as o:
        accounts = []
        for i in range(3):
            m.data = lambda message: m.deliveries.append((message["To"].addresses[0].addr_spec, message)) or m.stopping.wait(30) or None
            account = customer(o, f"k{i}@example.org")
            accounts.append(account)
            cross(o, account)
            wait_until(lambda: m.of(f"k{i}@example.org"), 20, "the mail")
            o.kill("octroi")
            m.data = lambda message: None
            o.sql("UPDATE mails SET claimed_until_us = 0, next_at_us = 0")
            o.start()
            wait_until(lambda: rows(o, account)[0][0] == "1", 30, "its end")
        for i in range(3):
            sent = [message for to, message in m.deliveries if to == f"k{i}@example.org"]
            assert len(sent) == 2 and len(m.of(f"k{i}@example.org")) == 1, i


def test_without_tls_only_on_this_machine():
    for settings, good in (("smtp_url = smtp://mail.example:25\nsmtp_tls = off", False), ("smtp_url = smtp://localhost:25\nsmtp_tls = off", True),
                           ("smtp_url = smtp://127.0.0.1.evil.example:25\nsmtp_tls = off", False), ("smtp_url = http://localhost", False),
                           ("smtp_url = smtps://u:p@mail.example", False), ("smtp_url = smtp://mail.example\nmail_from = a b@x", False),
                           ("smtp_url = smtp://mail.example:587", True)):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as conf:
            conf.write(("" if "mail_from" in settings else f"mail_from = {FROM}\n") + settings + "\n")
            conf.flush()
            done = subprocess.run([build_dir() / "octroi", "-t", "-c", conf.name], capture_output=True, text=True)
            assert (done.returncode == 0) == good, (settings, done.stderr)
