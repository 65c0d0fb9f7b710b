#!/usr/bin/python3
"""A Stripe that keeps state, for tests: customers, Checkout, payments, refunds, disputes, invoices, events.

    with FakeStripe() as stripe:                       # stripe.url, stripe.key, stripe.webhook_secret
        with Octroi("nginx", settings=stripe.settings()) as o:
            stripe.webhook_url = o.url + "/api/webhooks/stripe"
            url = o.post("/api/credits/topup?account=a", {"amount": 500}).json["url"]
            stripe.pay(stripe.session_of(url))         # what the customer does on the page
            stripe.deliver()                           # what Stripe sends; repeats until 2xx

It refuses what Stripe refuses: no or a wrong key, no Stripe-Version, POST without Idempotency-Key, unknown
parameters, a key that comes again with other parameters or while the first is under way.  Trouble is made with
rules: stripe.trouble(path, status=…, delay=…, hang=True, drop=True, times=…), and a request is stopped before or
after it took effect with stripe.stop_at(path, "before" | "after").  Every request is kept in stripe.requests.

What it knows of Stripe's objects is what octroi's contract says; the official SDK (tests/peers) is its judge.
As a program: fake_stripe.py [--port N] [--webhook-url URL] serves until it is stopped.
"""

import argparse
import calendar
import copy
import datetime
import hashlib
import hmac
import html
import http.client
import http.server
import itertools
import json
import os
import re
import secrets
import socket
import threading
import time
import urllib.parse

VERSION_NEW = "2026-07-29.dahlia"
VERSION_OLD = "2023-08-16"
SHAPE_BREAK = "2025-03-31"

POST_PARAMETERS = {
    "customers": {"email", "name", "metadata", "description", "phone", "preferred_locales", "invoice_settings"},
    "checkout/sessions": {
        "mode", "customer", "client_reference_id", "success_url", "cancel_url", "line_items", "metadata",
        "payment_intent_data", "invoice_creation", "locale", "expires_at", "payment_method_types", "customer_update",
        "billing_address_collection", "automatic_tax", "tax_id_collection", "submit_type"},
    "payment_intents": {"amount", "currency", "customer", "payment_method", "payment_method_types", "confirm",
                        "off_session", "error_on_requires_action", "metadata", "description"},
    "refunds": {"payment_intent", "charge", "amount", "reason", "metadata"},
    "invoices": {"customer", "currency", "collection_method", "auto_advance", "pending_invoice_items_behavior",
                 "metadata", "description"},
    "invoiceitems": {"customer", "invoice", "amount", "currency", "description", "metadata"},
    "billing_portal/sessions": {"customer", "return_url", "configuration", "locale", "flow_data", "on_behalf_of"},
}
LIST_PARAMETERS = {"limit", "starting_after", "ending_before", "created", "customer", "expand", "types", "type",
                   "delivery_success", "status", "payment_intent", "charge", "subscription"}


def add_months(seconds, months):
    """As Stripe counts: the same day of the month and time of day in UTC, or that month's last day."""
    at = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    day = min(at.day, calendar.monthrange(year, month + 1)[1])
    return int(at.replace(year=year, month=month + 1, day=day).timestamp())


def _line_shape(line, old):
    """A line of an invoice as an endpoint's api_version shows it; of subscriptions, others are as they are."""
    if "_price" not in line:
        return line
    shown = {key: value for key, value in line.items() if not key.startswith("_")}
    if old:
        return shown | {"type": "invoiceitem" if line["_proration"] else "subscription", "proration": line["_proration"],
                        "subscription": line["_subscription"], "price": {"id": line["_price"], "object": "price"}}
    kind = "invoice_item_details" if line["_proration"] else "subscription_item_details"
    return shown | {"parent": {"type": kind, kind: {"proration": line["_proration"], "subscription": line["_subscription"]}},
                    "pricing": {"type": "price_details", "price_details": {"price": line["_price"], "product": "prod_1"}}}


class Refusal(Exception):
    def __init__(self, status, type, code="", message="", param="", decline_code=""):
        super().__init__(message)
        self.status, self.type, self.code, self.message, self.param = status, type, code, message, param
        self.decline_code = decline_code

    def error(self):
        return {name: value for name, value in
                (("type", self.type), ("code", self.code), ("decline_code", self.decline_code),
                 ("message", self.message), ("param", self.param)) if value}


def invalid(message, param="", code="", status=400):
    return Refusal(status, "invalid_request_error", code, message, param)


def nested(pairs):
    """a[b][0][c]=v as dicts and lists, as Stripe reads it."""
    root = {}
    for name, value in pairs:
        keys = re.findall(r"[^\[\]]+|(?<=\[)(?=\])", name)
        at = root
        for key in keys[:-1]:
            at = at.setdefault(key, {})
        last = keys[-1]
        if last == "":
            at[str(len(at))] = value
        else:
            if last in at:
                raise invalid(f"{name} comes twice")
            at[last] = value
    return _lists(root)


def _lists(value):
    if not isinstance(value, dict):
        return value
    if value and all(re.fullmatch(r"\d+", key) for key in value):
        return [_lists(value[key]) for key in sorted(value, key=int)]
    return {key: _lists(inner) for key, inner in value.items()}


def integer(params, name, low, high, missing=None):
    text = params.get(name)
    if text is None and missing is not None:
        return missing
    if not isinstance(text, str) or not re.fullmatch(r"-?\d+", text) or not low <= int(text) <= high:
        raise invalid(f"Invalid integer: {text}", name, "parameter_invalid_integer")
    return int(text)


def check_metadata(metadata):
    if not isinstance(metadata, dict) or len(metadata) > 50:
        raise invalid("metadata", "metadata")
    for key, value in metadata.items():
        if len(key) > 40 or not isinstance(value, str) or len(value) > 500:
            raise invalid("metadata", f"metadata[{key}]")
    return metadata


def sign(secret, body, timestamp=None):
    """A Stripe-Signature header; secret: one, or a list for rolled secrets."""
    timestamp = int(time.time()) if timestamp is None else timestamp
    names = [secret] if isinstance(secret, str) else secret
    return f"t={timestamp}," + ",".join(
        "v1=" + hmac.new(s.encode(), str(timestamp).encode() + b"." + body, hashlib.sha256).hexdigest() for s in names)


class Trouble:
    def __init__(self, path, status=0, error=None, headers=None, delay=0, hang=False, drop=False, lose=False,
                 times=None, says=""):
        self.path, self.says, self.status, self.error, self.headers = path, says, status, error or {}, headers or {}
        self.delay, self.hang, self.drop, self.lose, self.left = delay, hang, drop, lose, times
        self.seen = 0


class Stop:
    """A request that waits at a point: wait_reached(), then release()."""

    def __init__(self, path, point, says=""):
        self.path, self.point, self.says = path, point, says
        self._reached, self._released = threading.Event(), threading.Event()

    def wait_reached(self, seconds=30):
        assert self._reached.wait(seconds), f"{self.path} did not come to {self.point}"

    def release(self):
        self._released.set()

    def _wait(self, closing):
        self._reached.set()
        while not self._released.wait(0.02) and not closing.is_set():
            pass


class FakeStripe:
    def __init__(self, api_version=VERSION_NEW, livemode=False, port=0, webhook_url=None):
        self.key = ("sk_live_" if livemode else "sk_test_") + secrets.token_hex(16)
        self.webhook_secret = "whsec_" + secrets.token_hex(24)
        self.api_version, self.livemode, self.webhook_url = api_version, livemode, webhook_url
        self.lock = threading.RLock()
        self.closing = threading.Event()
        self.serial = itertools.count(1)
        self.objects = {kind: {} for kind in ("customer", "checkout.session", "payment_intent", "charge", "refund",
                                              "dispute", "invoice", "invoiceitem", "payment_method", "event",
                                              "billing_portal.session", "subscription", "invoice_payment")}
        self.keys = {}       # Idempotency-Key -> {"what", "answer" or None while under way}
        self.requests = []   # dicts: method, path, pairs, params, headers, status
        self.undelivered = []
        self.troubles, self.stops = [], []
        self.clock_skew = 0
        self.remembers_customers = True  # False: an unknown customer is one
        self.time = None              # the time of Stripe's objects, where a test sets it
        self.prices = {}              # of subscriptions: id -> (amount, "month" | "year" | "week")
        self.webhook_events = ["*"]   # what the webhook endpoint is enabled for
        self._server = _Server(("127.0.0.1", port), self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def settings(self, **more):
        """Keys of octroi.conf that make octroi use this Stripe."""
        return {"stripe_api_base": self.url, "stripe_secret_key": self.key,
                "stripe_webhook_secret": self.webhook_secret, "public_url": "https://app.example", **more}

    # -- trouble ----------------------------------------------------------------------------------

    def trouble(self, path=".*", **what):
        """The next `times` requests (all, unless given) whose path matches: status with error and headers;
        delay seconds first; hang until the end; drop the connection without an answer; lose the answer, once the
        request has taken effect.  says: only a request in whose parameters, as sent, that expression is found."""
        rule = Trouble(path, **what)
        with self.lock:
            self.troubles.append(rule)
        return rule

    def calm(self):
        with self.lock:
            self.troubles.clear()

    def stop_at(self, path, point, says=""):
        """The next request whose path matches waits "before" or "after" it takes effect (there: unanswered)."""
        stop = Stop(path, point, says)
        with self.lock:
            self.stops.append(stop)
        return stop

    def _stop(self, path, point, text):
        with self.lock:
            found = next((s for s in self.stops if s.point == point and re.fullmatch(s.path, path)
                          and re.search(s.says, text)), None)
            if found is not None:
                self.stops.remove(found)
        if found is not None:
            found._wait(self.closing)

    def _trouble_for(self, path, text):
        with self.lock:
            for rule in self.troubles:
                if rule.left != 0 and re.fullmatch(rule.path, path) and re.search(rule.says, text):
                    rule.seen += 1
                    if rule.left is not None:
                        rule.left -= 1
                    return rule
        return None

    # -- state ------------------------------------------------------------------------------------

    def now(self):
        return int(time.time() + self.clock_skew) if self.time is None else self.time

    def new(self, kind, prefix, **fields):
        made = {"id": f"{prefix}_{'' if prefix.startswith('cs_') else 'fake'}{next(self.serial):06d}{secrets.token_hex(6)}",
                "object": kind, "created": self.now(), "livemode": self.livemode, **fields}
        self.objects[kind][made["id"]] = made
        return made

    def get(self, kind, id, param="id"):
        if kind == "customer" and not self.remembers_customers and id not in self.objects[kind]:
            self.new(kind, "cus", email=None, name=None, metadata={}, default_source=None,
                     invoice_settings={"default_payment_method": None})["id"] = id
            self.objects[kind][id] = self.objects[kind].popitem()[1]
        if id not in self.objects[kind]:
            raise invalid(f"No such {kind}: '{id}'", param, "resource_missing", 404 if param == "id" else 400)
        return self.objects[kind][id]

    def _shape(self, kind, made, version=None, expand=()):
        """The object as this api_version shows it, the endpoint's unless given; its payments only where they are
        asked for, never in an event."""
        shown = copy.deepcopy(made)
        old = (version or self.api_version)[:10] < SHAPE_BREAK
        if kind == "charge" and old:
            shown["invoice"] = None
        if kind == "invoice":
            shown["lines"]["data"] = [_line_shape(line, old) for line in shown["lines"]["data"]]
        if kind == "invoice" and old:
            shown["paid"] = shown["status"] == "paid"
            shown["payment_intent"] = shown.pop("_payment_intent", None)
            shown["subscription"] = shown.pop("_subscription", None)
        if kind == "invoice" and not old:
            intent, subscription = shown.pop("_payment_intent", None), shown.pop("_subscription", None)
            shown["parent"] = {"type": "subscription_details",
                               "subscription_details": {"subscription": subscription}} if subscription else None
            if "payments" in expand:
                shown["payments"] = {"object": "list", "has_more": False, "data": [
                    self.invoice_payment(made)] if intent else []}
        if kind == "subscription" and old:
            item = shown["items"]["data"][0]
            shown["current_period_start"] = item.pop("current_period_start")
            shown["current_period_end"] = item.pop("current_period_end")
        return shown

    def invoice_payment(self, invoice):
        return {"id": "inpay_" + invoice["_payment_intent"][3:], "object": "invoice_payment", "created": self.now(),
                "livemode": self.livemode, "invoice": invoice["id"], "currency": invoice["currency"],
                "amount_paid": invoice["amount_paid"], "amount_requested": invoice["total"], "is_default": True,
                "status": "paid", "payment": {"type": "payment_intent", "payment_intent": invoice["_payment_intent"]}}

    def emit(self, type, made, previous=None, lost=False, created=None):
        """An event about an object as it is now; lost: Stripe never delivers it."""
        with self.lock:
            event = self.new("event", "evt", api_version=self.api_version, type=type, pending_webhooks=1,
                             request={"id": None, "idempotency_key": None},
                             data={"object": self._shape(made["object"], made),
                                   **({"previous_attributes": previous} if previous else {})})
            event["_serial"] = next(self.serial)
            if created is not None:
                event["created"] = created
            if not lost:
                self.undelivered.append(event)
            return event

    # -- what customers, banks and operators do ----------------------------------------------------

    def session_of(self, url):
        return url.rsplit("/", 1)[1].split("#")[0].split("?")[0]

    def sessions(self):
        return list(self.objects["checkout.session"].values())

    def pay(self, session_id, delayed=False, lost=False):
        """The customer pays; delayed: a method whose money comes later (settle_delayed).  The PaymentIntent."""
        with self.lock:
            session = self.get("checkout.session", session_id)
            assert session["status"] == "open", session["status"]
            data = session["_payment_intent_data"]
            intent = self.new(
                "payment_intent", "pi", amount=session["amount_total"], amount_received=0,
                currency=session["currency"], customer=session["customer"], metadata=data.get("metadata", {}),
                status="processing" if delayed else "succeeded", latest_charge=None, last_payment_error=None)
            session.update(status="complete", payment_status="unpaid", payment_intent=intent["id"], url=None)
            if delayed:
                self.emit("payment_intent.processing", intent, lost=lost)
                self.emit("checkout.session.completed", session, lost=lost)
            else:
                self._paid(session, intent, lost)
                self.emit("checkout.session.completed", session, lost=lost)
            return intent

    def buy_by_link(self, cents, reference=None, customer=None, metadata=None, currency="eur", mode="payment"):
        """Somebody buys something else of the same merchant, by a Payment Link; reference: what the buyer wrote behind
        ?client_reference_id=; metadata: the merchant's, of the link.  The session, complete and paid."""
        with self.lock:
            session = self.new(
                "checkout.session", "cs_live" if self.livemode else "cs_test", mode=mode, status="open",
                payment_status="unpaid", amount_total=cents, amount_subtotal=cents, currency=currency,
                customer=customer, client_reference_id=reference, metadata=metadata or {},
                success_url="https://merchant.example", cancel_url=None, payment_intent=None, invoice=None,
                subscription=None, payment_link="plink_fake", expires_at=self.now() + 86400,
                _payment_intent_data={"metadata": metadata or {}}, _invoice_creation={})
            session["url"] = f"{self.url}/c/pay/{session['id']}"
            if mode == "payment":
                self.pay(session["id"])
            else:
                session.update(status="complete", payment_status="paid" if mode == "subscription" else
                               "no_payment_required", url=None)
                self.emit("checkout.session.completed", session)
            return session

    def _paid(self, session, intent, lost):
        charge = self.new("charge", "ch", amount=intent["amount"], amount_refunded=0, currency=intent["currency"],
                          customer=intent["customer"], payment_intent=intent["id"], paid=True, refunded=False,
                          disputed=False, status="succeeded", metadata=dict(intent["metadata"]),
                          receipt_url=f"{self.url}/receipts/{intent['id']}")
        intent.update(status="succeeded", amount_received=intent["amount"], latest_charge=charge["id"])
        session.update(payment_status="paid")
        if session["_payment_intent_data"].get("setup_future_usage") == "off_session":
            self.save_card(session["customer"])
        if session["_invoice_creation"].get("enabled") == "true":
            invoice = self.new(
                "invoice", "in", number=f"FAKE-{next(self.serial):04d}", status="paid", currency=intent["currency"],
                customer=intent["customer"], total=intent["amount"], amount_due=intent["amount"],
                amount_paid=intent["amount"], billing_reason="manual",
                metadata=session["_invoice_creation"].get("invoice_data", {}).get("metadata", {}),
                _payment_intent=intent["id"], lines={"object": "list", "data": [], "has_more": False})
            invoice.update(hosted_invoice_url=f"{self.url}/i/{invoice['id']}",
                           invoice_pdf=f"{self.url}/i/{invoice['id']}/pdf")
            session["invoice"] = invoice["id"]
            self.emit("invoice.paid", invoice, lost=lost)
        self.emit("charge.succeeded", charge, lost=lost)
        self.emit("payment_intent.succeeded", intent, lost=lost)

    def settle_delayed(self, session_id, succeeds=True, lost=False):
        with self.lock:
            session = self.get("checkout.session", session_id)
            intent = self.get("payment_intent", session["payment_intent"])
            if succeeds:
                self._paid(session, intent, lost)
                self.emit("checkout.session.async_payment_succeeded", session, lost=lost)
            else:
                intent["status"] = "requires_payment_method"
                self.emit("payment_intent.payment_failed", intent, lost=lost)
                self.emit("checkout.session.async_payment_failed", session, lost=lost)
            return intent

    def expire(self, session_id, lost=False):
        with self.lock:
            session = self.get("checkout.session", session_id)
            session.update(status="expired", url=None)
            self.emit("checkout.session.expired", session, lost=lost)

    # -- cards and invoices -----------------------------------------------------------------------

    def save_card(self, customer_id, declines="", default=False):
        """The customer saves a card; declines: the code with which its bank refuses every charge."""
        with self.lock:
            card = self.new("payment_method", "pm", type="card", customer=customer_id, _declines=declines,
                            card={"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2040})
            card["_serial"] = next(self.serial)
            if default:
                self.get("customer", customer_id)["invoice_settings"]["default_payment_method"] = card["id"]
            return card

    def remove_card(self, card_id):
        with self.lock:
            card = self.objects["payment_method"].pop(card_id)
            settings = self.get("customer", card["customer"])["invoice_settings"]
            if settings["default_payment_method"] == card_id:
                settings["default_payment_method"] = None

    def cards(self, customer_id):
        """Newest first."""
        return sorted((c for c in self.objects["payment_method"].values() if c["customer"] == customer_id),
                      key=lambda c: -c["_serial"])

    def charges(self, customer_id=None):
        """Real charges of customers, which are what counts in the end."""
        return [c for c in self.objects["charge"].values() if customer_id in (None, c["customer"])]

    def invoices_of(self, statement):
        return [i for i in self.objects["invoice"].values() if i["metadata"].get("statement") == statement]

    def pay_invoice(self, invoice_id, lost=False):
        """The customer pays on the invoice's own page."""
        with self.lock:
            invoice = self.get("invoice", invoice_id)
            assert invoice["status"] == "open", invoice["status"]
            return self._collect(invoice, lost)

    def _collect(self, invoice, lost=False):
        intent = self.new("payment_intent", "pi", amount=invoice["total"], amount_received=invoice["total"],
                          currency=invoice["currency"], customer=invoice["customer"], metadata={}, status="succeeded",
                          latest_charge=None, last_payment_error=None)
        charge = self.new("charge", "ch", amount=invoice["total"], amount_refunded=0, currency=invoice["currency"],
                          customer=invoice["customer"], payment_intent=intent["id"], paid=True, refunded=False,
                          disputed=False, status="succeeded", metadata={}, receipt_url=None)
        intent["latest_charge"] = charge["id"]
        invoice.update(status="paid", amount_paid=invoice["total"], _payment_intent=intent["id"])
        self.emit("charge.succeeded", charge, lost=lost)
        self.emit("payment_intent.succeeded", intent, lost=lost)
        self.emit("invoice.paid", invoice, lost=lost)
        if self.api_version[:10] >= SHAPE_BREAK:
            self.emit("invoice_payment.paid", self.invoice_payment(invoice), lost=lost)
        return invoice

    def _post_invoice(self, params):
        customer = self.get("customer", params.get("customer"), "customer")
        if params.get("collection_method") != "charge_automatically" or params.get("auto_advance") != "false":
            raise invalid("this fake knows drafts that are charged automatically", "collection_method")
        return self.new("invoice", "in", number=None, status="draft", currency=params["currency"],
                        customer=customer["id"], total=0, amount_due=0, amount_paid=0, billing_reason="manual",
                        metadata=params.get("metadata", {}), auto_advance=False, hosted_invoice_url=None,
                        invoice_pdf=None, _payment_intent=None, lines={"object": "list", "data": [], "has_more": False})

    def _post_item(self, params):
        invoice = self.get("invoice", params.get("invoice"), "invoice")
        if invoice["status"] != "draft":
            raise invalid("This invoice is no longer editable", "invoice", "invoice_not_editable")
        if params.get("customer") != invoice["customer"] or params.get("currency") != invoice["currency"]:
            raise invalid("of another customer or currency than the invoice", "customer")
        item = self.new("invoiceitem", "ii", customer=invoice["customer"], invoice=invoice["id"],
                        amount=integer(params, "amount", -99_999_999, 99_999_999), currency=params["currency"],
                        description=params.get("description"), metadata=params.get("metadata", {}))
        self.add_line(invoice, item["amount"])
        return item

    def add_line(self, invoice, amount):
        """Also what a person adds in Stripe's dashboard."""
        invoice["total"] += amount
        invoice["amount_due"] = invoice["total"]
        invoice["lines"]["data"].append({"object": "line_item", "amount": amount})

    def _act_on_invoice(self, invoice, action, params):
        allowed = {"finalize": {"auto_advance"}, "pay": {"payment_method", "off_session"}, "void": set()}[action]
        if unknown := set(params) - allowed - {"expand"}:
            raise invalid(f"Received unknown parameter: {sorted(unknown)[0]}", sorted(unknown)[0], "parameter_unknown")
        if action == "finalize":
            if invoice["status"] != "draft":
                raise invalid("This invoice is already finalized", "", "invoice_no_longer_draft")
            invoice.update(status="open", number=f"FAKE-{next(self.serial):04d}",
                           auto_advance=params.get("auto_advance") == "true",
                           hosted_invoice_url=f"{self.url}/i/{invoice['id']}",
                           invoice_pdf=f"{self.url}/i/{invoice['id']}/pdf")
            self.emit("invoice.finalized", invoice)
        elif action == "void":
            if invoice["status"] not in ("open", "uncollectible"):
                raise invalid(f"You can only pass in open invoices. This invoice is {invoice['status']}.")
            invoice["status"] = "void"
            self.emit("invoice.voided", invoice)
        else:
            self._pay_with_card(invoice, params.get("payment_method"))
        return invoice

    def _pay_with_card(self, invoice, card_id):
        if invoice["status"] != "open":
            raise invalid(f"Invoice is already {invoice['status']}", "", "invoice_not_open")
        customer = self.get("customer", invoice["customer"])
        card_id = card_id or customer["invoice_settings"]["default_payment_method"]
        if card_id is None:
            raise invalid("There is no `default_payment_method` set on this Customer or Invoice.", "", "missing")
        card = self.get("payment_method", card_id, "payment_method")
        if card["_declines"]:
            self.emit("invoice.payment_failed", invoice)
            raise Refusal(402, "card_error", card["_declines"], "Your card was declined.")
        self._collect(invoice)

    def _post_payment_intent(self, params):
        """A payment that is confirmed at once with a saved card; the customer is not there (off_session)."""
        customer = self.get("customer", params.get("customer"), "customer")
        amount = integer(params, "amount", 1, 99_999_999)
        if amount < 50:
            raise invalid("Amount must be at least €0.50", "amount", "amount_too_small")
        if not re.fullmatch(r"[a-z]{3}", params.get("currency", "")):
            raise invalid("Invalid currency", "currency")
        if params.get("confirm") != "true" or params.get("off_session") != "true":
            raise invalid("this fake knows payments that are confirmed at once, off session", "confirm")
        if params.get("payment_method_types") != ["card"]:
            raise invalid("You must provide a `return_url` when confirming", "return_url", "parameter_missing")
        card = self.get("payment_method", params.get("payment_method"), "payment_method")
        if card["customer"] != customer["id"]:
            raise invalid("The payment method does not belong to this customer", "payment_method")
        intent = self.new(
            "payment_intent", "pi", amount=amount, amount_received=0, currency=params["currency"],
            customer=customer["id"], payment_method=card["id"], metadata=params.get("metadata", {}),
            status="requires_payment_method", latest_charge=None, last_payment_error=None)
        declines = card["_declines"]
        if declines == "processing":
            intent["status"] = "processing"
            self.emit("payment_intent.processing", intent)
            return intent
        if declines == "authentication_required" and params.get("error_on_requires_action") != "true":
            intent["status"] = "requires_action"
            self.emit("payment_intent.requires_action", intent)
            return intent
        if declines:
            code = declines if declines in ("authentication_required", "expired_card", "processing_error") else "card_declined"
            refusal = Refusal(402, "card_error", code, "Your card was declined.", "", declines)
            intent["last_payment_error"] = refusal.error()
            self.emit("payment_intent.payment_failed", intent)
            raise refusal
        self._charge(intent)
        return intent

    def _charge(self, intent, lost=False):
        charge = self.new("charge", "ch", amount=intent["amount"], amount_refunded=0, currency=intent["currency"],
                          customer=intent["customer"], payment_intent=intent["id"], paid=True, refunded=False,
                          disputed=False, status="succeeded", metadata=dict(intent["metadata"]), receipt_url=None)
        intent.update(status="succeeded", amount_received=intent["amount"], latest_charge=charge["id"],
                      last_payment_error=None)
        self.emit("charge.succeeded", charge, lost=lost)
        self.emit("payment_intent.succeeded", intent, lost=lost)

    def confirm(self, intent_id, lost=False):
        """The payment succeeds later: its money comes, or a person confirms it."""
        with self.lock:
            self._charge(self.get("payment_intent", intent_id), lost)

    def attach_card(self, customer_id, declines="", default=False, lost=False):
        """The customer saves a card on a page of Stripe's, which tells so."""
        with self.lock:
            card = self.save_card(customer_id, declines, default)
            self.emit("payment_method.attached", card, lost=lost)
            return card

    def refund(self, intent_id, amount=None, status="succeeded", lost=False):
        with self.lock:
            intent = self.get("payment_intent", intent_id)
            charge = self.get("charge", intent["latest_charge"])
            amount = charge["amount"] - charge["amount_refunded"] if amount is None else amount
            if not 0 < amount <= charge["amount"] - charge["amount_refunded"]:
                raise invalid("Refund amount is greater than unrefunded amount", "amount", "charge_already_refunded")
            refund = self.new("refund", "re", amount=amount, currency=charge["currency"], charge=charge["id"],
                              payment_intent=intent_id, status=status, reason=None, metadata={})
            charge["amount_refunded"] += amount
            charge["refunded"] = charge["amount_refunded"] == charge["amount"]
            self.emit("refund.created", refund, lost=lost)
            self.emit("charge.refunded", charge, lost=lost)
            return refund

    def fail_refund(self, refund_id, lost=False):
        with self.lock:
            refund = self.get("refund", refund_id)
            charge = self.get("charge", refund["charge"])
            refund["status"] = "failed"
            charge["amount_refunded"] -= refund["amount"]
            charge["refunded"] = False
            self.emit("refund.failed", refund, lost=lost)
            self.emit("refund.updated", refund, lost=lost)

    def dispute(self, intent_id, amount=None, inquiry=False, lost=False):
        with self.lock:
            intent = self.get("payment_intent", intent_id)
            charge = self.get("charge", intent["latest_charge"])
            charge["disputed"] = True
            dispute = self.new("dispute", "dp", amount=charge["amount"] if amount is None else amount,
                               currency=charge["currency"], charge=charge["id"], payment_intent=intent_id,
                               status="warning_needs_response" if inquiry else "needs_response",
                               reason="fraudulent", metadata={}, balance_transactions=[])
            self.emit("charge.dispute.created", dispute, lost=lost)
            if not inquiry:
                dispute["balance_transactions"].append({"amount": -dispute["amount"]})
                self.emit("charge.dispute.funds_withdrawn", dispute, lost=lost)
            return dispute

    def close_dispute(self, dispute_id, status, lost=False):
        """status: won, lost or warning_closed."""
        with self.lock:
            dispute = self.get("dispute", dispute_id)
            withdrawn = sum(t["amount"] for t in dispute["balance_transactions"]) < 0
            dispute["status"] = status
            if status == "won" and withdrawn:
                dispute["balance_transactions"].append({"amount": dispute["amount"]})
                self.emit("charge.dispute.funds_reinstated", dispute, lost=lost)
            self.emit("charge.dispute.closed", dispute, lost=lost)

    # -- subscriptions ----------------------------------------------------------------------------

    def _boundary(self, sub, after):
        """The end of the period that begins then."""
        interval = self.prices[sub["_price"]][1]
        if interval == "week":
            return after + 7 * 86400
        step, months = (12 if interval == "year" else 1), 0
        while add_months(sub["billing_cycle_anchor"], months) <= after:
            months += step
        return add_months(sub["billing_cycle_anchor"], months)

    def _line(self, sub, price, amount, start, end, proration=False):
        return {"id": f"il_fake{next(self.serial):06d}", "object": "line_item", "amount": amount, "currency": "eur",
                "discount_amounts": [], "period": {"start": start, "end": end}, "quantity": sub["_quantity"],
                "_price": price, "_subscription": sub["id"], "_proration": proration}

    def _invoice(self, sub, reason, lines, discount=0):
        for line in lines:
            if discount and line["amount"] > 0:
                line["discount_amounts"] = [{"amount": line["amount"] * discount // 100, "discount": "di_1"}]
        total = sum(line["amount"] - sum(d["amount"] for d in line["discount_amounts"]) for line in lines)
        return self.new("invoice", "in", number=f"FAKE-{next(self.serial):04d}", status="open", currency="eur",
                        customer=sub["customer"], total=total, amount_due=max(total, 0), amount_paid=0,
                        billing_reason=reason, metadata={}, auto_advance=True, hosted_invoice_url=None, invoice_pdf=None,
                        _payment_intent=None, _subscription=sub["id"],
                        lines={"object": "list", "data": lines, "has_more": False})

    def _tell(self, sub, what, previous=None, lost=False):
        self.emit(f"customer.subscription.{what}", sub, previous=previous, lost=lost)

    def _settle(self, invoice, lost=False):
        """The invoice is paid: with a card, or, where nothing is due, at once."""
        if invoice["total"] > 0:
            self._collect(invoice, lost)
            payment = self.new("invoice_payment", "inpay", invoice=invoice["id"], status="paid", is_default=True,
                               amount_paid=invoice["total"], amount_requested=invoice["total"], currency="eur",
                               payment={"type": "payment_intent", "payment_intent": invoice["_payment_intent"]})
            if self.api_version[:10] >= SHAPE_BREAK:
                self.emit("invoice_payment.paid", payment, lost=lost)
        else:
            invoice["status"] = "paid"
            self.emit("invoice.paid", invoice, lost=lost)
        self.emit("invoice.payment_succeeded", invoice, lost=lost)

    def _set_price(self, sub, price):
        sub["_price"] = price
        sub["items"]["data"][0]["price"] = {"id": price, "object": "price"}

    def _set_period(self, sub, start, end):
        sub["items"]["data"][0].update(current_period_start=start, current_period_end=end)

    def subscribe(self, customer, price, quantity=1, anchor=None, trial_days=0, discount=0, pays=True, metadata=None,
                  lost=False):
        """A customer subscribes; anchor: of a first period that is no whole one.  The subscription."""
        with self.lock:
            now = self.now()
            trial_end = now + trial_days * 86400 if trial_days else None
            sub = self.new("subscription", "sub", customer=customer, status="incomplete", metadata=metadata or {},
                           billing_cycle_anchor=trial_end or anchor or now, trial_end=trial_end, cancel_at_period_end=False,
                           items={"object": "list", "data": [{"id": "si_1", "object": "subscription_item",
                                                              "quantity": quantity}]},
                           _price=price, _quantity=quantity, _pending=[], _discount=discount)
            self._set_price(sub, price)
            amount = self.prices[price][0] * quantity
            end = trial_end or (anchor if anchor and anchor > now else self._boundary(sub, now))
            if anchor and anchor > now:
                whole = anchor - add_months(anchor, -12 if self.prices[price][1] == "year" else -1)
                amount = amount * (anchor - now) // whole
            self._set_period(sub, now, end)
            invoice = self._invoice(sub, "subscription_create",
                                    [self._line(sub, price, 0 if trial_end else amount, now, end)], discount)
            sub["latest_invoice"] = invoice["id"]
            self._tell(sub, "created", lost=lost)
            if pays:
                sub["status"] = "trialing" if trial_end else "active"
                self._settle(invoice, lost)
                self._tell(sub, "updated", {"status": "incomplete"}, lost)
            else:
                self.emit("invoice.payment_failed", invoice, lost=lost)
            return sub

    def renew(self, sub, pays=True, lost=False):
        """The next period begins; its invoice."""
        with self.lock:
            start = sub["items"]["data"][0]["current_period_end"]
            end = self._boundary(sub, start)
            self._set_period(sub, start, end)
            lines = sub["_pending"] + [self._line(sub, sub["_price"], self.prices[sub["_price"]][0] * sub["_quantity"],
                                                  start, end)]
            sub["_pending"] = []
            invoice = self._invoice(sub, "subscription_cycle", lines, sub["_discount"])
            sub["latest_invoice"] = invoice["id"]
            was, sub["status"] = sub["status"], "active"
            self._tell(sub, "updated", {"current_period_start": 1}, lost)
            if pays:
                self._settle(invoice, lost)
            else:
                sub["status"] = "past_due"
                self.emit("invoice.payment_failed", invoice, lost=lost)
                self._tell(sub, "updated", {"status": was}, lost)
            return invoice

    def pay_subscription(self, sub, invoice, lost=False):
        """An invoice that was not paid at once is paid, by the customer or by a later attempt."""
        with self.lock:
            self._settle(invoice, lost)
            if sub["latest_invoice"] == invoice["id"]:
                was, sub["status"] = sub["status"], "active"
                self._tell(sub, "updated", {"status": was}, lost)

    def change(self, sub, price=None, quantity=None, prorate="always_invoice", pays=True, lost=False):
        """Another price or quantity now.  prorate: always_invoice, create_prorations (on the next invoice) or none.  The
        invoice, if there is one."""
        with self.lock:
            now, item = self.now(), sub["items"]["data"][0]
            start, end = item["current_period_start"], item["current_period_end"]
            old, was = sub["_price"], sub["_quantity"]
            part = lambda amount: amount * (end - now) // (end - start)  # noqa: E731
            credit = self._line(sub, old, -part(self.prices[old][0] * was), now, end, True)
            self._set_price(sub, price or old)
            sub["_quantity"] = item["quantity"] = quantity or was
            debit = self._line(sub, sub["_price"], part(self.prices[sub["_price"]][0] * sub["_quantity"]), now, end, True)
            self._tell(sub, "updated", {"items": {"data": [{"price": {"id": old}, "quantity": was}]}}, lost)
            if prorate == "create_prorations":
                sub["_pending"] += [credit, debit]
            if prorate != "always_invoice":
                return None
            lines, sub["_pending"] = sub["_pending"] + [credit, debit], []
            invoice = self._invoice(sub, "subscription_update", lines)
            sub["latest_invoice"] = invoice["id"]
            if pays:
                self._settle(invoice, lost)
            else:
                sub["status"] = "past_due"
                self.emit("invoice.payment_failed", invoice, lost=lost)
                self._tell(sub, "updated", {"status": "active"}, lost)
            return invoice

    def cancel(self, sub, at_period_end=False, lost=False):
        with self.lock:
            if at_period_end:
                sub["cancel_at_period_end"] = True
                self._tell(sub, "updated", {"cancel_at_period_end": False}, lost)
            else:
                sub["status"] = "canceled"
                self._tell(sub, "deleted", None, lost)

    def intent_of(self, invoice):
        return invoice["_payment_intent"]

    # -- webhooks ---------------------------------------------------------------------------------

    @staticmethod
    def body_of(event):
        return json.dumps({key: value for key, value in event.items() if not key.startswith("_")},
                          indent=2).encode()

    def send(self, event, url=None, secret=None, timestamp=None):
        """One delivery of one event; the status, 0 when the connection failed."""
        body = self.body_of(event)
        parts = urllib.parse.urlsplit(url or self.webhook_url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        try:
            connection.request("POST", parts.path, body=body, headers={
                "Content-Type": "application/json; charset=utf-8", "User-Agent": "Stripe/1.0",
                "Stripe-Signature": sign(secret or self.webhook_secret, body, timestamp)})
            response = connection.getresponse()
            response.read()
            return response.status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def deliver(self, seconds=30, order=None):
        """Sends all that is undelivered (order: a function that orders the list), again until 2xx."""
        with self.lock:
            waiting = list(self.undelivered)
            self.undelivered.clear()
        deadline = time.monotonic() + seconds
        waiting = order(waiting) if order else waiting
        while waiting:
            waiting = [event for event in waiting if not 200 <= self.send(event) < 300]
            if waiting:
                assert time.monotonic() < deadline, f"{len(waiting)} events are not accepted"
                time.sleep(0.05)

    def lose(self):
        """All undelivered events are never delivered."""
        with self.lock:
            lost = list(self.undelivered)
            self.undelivered.clear()
            return lost

    # -- the API ----------------------------------------------------------------------------------

    def answer(self, method, path, params):
        """The object that the request makes or shows; the lock is held."""
        route = path.removeprefix("/v1/")
        if method == "POST":
            if route in POST_PARAMETERS:
                unknown = set(params) - POST_PARAMETERS[route] - {"expand"}
                if unknown:
                    raise invalid(f"Received unknown parameter: {sorted(unknown)[0]}", sorted(unknown)[0],
                                  "parameter_unknown")
            made = self._post(route, params)
            return self._expanded(made, params, "") if made["object"] == "invoice" else made
        if unknown := set(params) - LIST_PARAMETERS:
            raise invalid(f"Received unknown parameter: {sorted(unknown)[0]}", sorted(unknown)[0], "parameter_unknown")
        return self._get(route, params)

    def _post(self, route, params):
        check_metadata(params.get("metadata", {}))
        if route == "customers":
            return self.new("customer", "cus", email=params.get("email"), name=params.get("name"),
                            metadata=params.get("metadata", {}), default_source=None,
                            invoice_settings={"default_payment_method": None})
        if match := re.fullmatch(r"customers/(\w+)", route):
            customer = self.get("customer", match[1])
            customer.update({name: params[name] for name in ("email", "name") if name in params})
            return customer
        if route == "checkout/sessions":
            return self._post_session(params)
        if route == "payment_intents":
            return self._post_payment_intent(params)
        if route == "invoices":
            return self._post_invoice(params)
        if route == "invoiceitems":
            return self._post_item(params)
        if match := re.fullmatch(r"invoices/(\w+)/(finalize|pay|void)", route):
            return self._act_on_invoice(self.get("invoice", match[1]), match[2], params)
        if match := re.fullmatch(r"checkout/sessions/(\w+)/expire", route):
            self.expire(match[1])
            return self.get("checkout.session", match[1])
        if route == "refunds":
            return self.refund(params["payment_intent"], integer(params, "amount", 1, 10**8, None)
                               if "amount" in params else None)
        if route == "billing_portal/sessions":
            self.get("customer", params.get("customer"), "customer")
            made = self.new("billing_portal.session", "bps", customer=params["customer"],
                            return_url=params.get("return_url"))
            made["url"] = f"{self.url}/p/session/{made['id']}"
            return made
        raise invalid(f"Unrecognized request URL (POST: /v1/{route})", status=404)

    def _post_session(self, params):
        if params.get("mode") != "payment":
            raise invalid("mode", "mode", "parameter_missing")
        for name in ("success_url", "line_items"):
            if name not in params:
                raise invalid(f"Missing required param: {name}.", name, "parameter_missing")
        for name in ("success_url", "cancel_url"):
            if name in params and not re.match(r"https?://[^\s/]+", params[name]):
                raise invalid("Not a valid URL", name, "url_invalid")
        self.get("customer", params.get("customer"), "customer")
        total = 0
        for item in params["line_items"]:
            price = item["price_data"]
            if not re.fullmatch(r"[a-z]{3}", price.get("currency", "")) or not price["product_data"].get("name"):
                raise invalid("Invalid currency", "line_items[0][price_data][currency]")
            total += integer(price, "unit_amount", 0, 99_999_999) * integer(item, "quantity", 1, 10**6)
        if total < 50:
            raise invalid("The Checkout Session's total amount due must add up to at least €0.50",
                          "line_items", "amount_too_small")
        data = params.get("payment_intent_data", {})
        check_metadata(data.get("metadata", {}))
        session = self.new(
            "checkout.session", "cs_live" if self.livemode else "cs_test", mode="payment", status="open",
            payment_status="unpaid", amount_total=total, amount_subtotal=total, currency=price["currency"],
            customer=params["customer"], client_reference_id=params.get("client_reference_id"),
            metadata=params.get("metadata", {}), success_url=params["success_url"],
            cancel_url=params.get("cancel_url"), payment_intent=None, invoice=None, subscription=None,
            expires_at=self.now() + 86400, _payment_intent_data=data,
            _invoice_creation=params.get("invoice_creation", {}))
        session["url"] = f"{self.url}/c/pay/{session['id']}"
        return session

    def _get(self, route, params):
        kinds = {"customers": "customer", "checkout/sessions": "checkout.session", "invoices": "invoice",
                 "payment_intents": "payment_intent", "events": "event", "refunds": "refund", "disputes": "dispute",
                 "charges": "charge", "subscriptions": "subscription", "invoice_payments": "invoice_payment"}
        if route == "balance":
            return {"object": "balance", "livemode": self.livemode, "available": [], "pending": []}
        if route == "webhook_endpoints":
            endpoints = [] if self.webhook_url is None else [
                {"id": "we_1", "object": "webhook_endpoint", "status": "enabled", "url": self.webhook_url,
                 "enabled_events": list(self.webhook_events)}]
            return {"object": "list", "url": f"/v1/{route}", "has_more": False, "data": endpoints}
        if match := re.fullmatch(r"customers/(\w+)/payment_methods", route):
            self.get("customer", match[1])
            return {"object": "list", "url": f"/v1/{route}", "has_more": False,
                    "data": [copy.deepcopy(card) for card in self.cards(match[1])]}
        if route in kinds:
            return self._list(kinds[route], f"/v1/{route}", params)
        if match := re.fullmatch(r"(customers|checkout/sessions|invoices|payment_intents|events|refunds|disputes)/(\w+)",
                                 route):
            return self._expanded(self.get(kinds[match[1]], match[2]), params, "")
        raise invalid(f"Unrecognized request URL (GET: /v1/{route})", status=404)

    def _expanded(self, made, params, prefix):
        expand = params.get("expand", [])
        shown = self._shape(made["object"], made, expand=[e.removeprefix(prefix) for e in expand])
        if f"{prefix}latest_charge" in expand and shown.get("latest_charge"):
            shown["latest_charge"] = copy.deepcopy(self.objects["charge"][shown["latest_charge"]])
        return shown

    def _list(self, kind, path, params):
        rows = sorted(self.objects[kind].values(), key=lambda row: (row["created"], row["id"]), reverse=True)
        if kind == "event":
            rows.sort(key=lambda row: (row["created"], row["_serial"]), reverse=True)
        created = params.get("created", {})
        created = {"gte": created, "lte": created} if isinstance(created, str) else created
        rows = [r for r in rows if r["created"] >= int(created.get("gte", 0)) and
                r["created"] <= int(created.get("lte", 2**62)) and r["created"] > int(created.get("gt", -1))]
        for name in ("customer", "payment_intent", "charge", "status", "type"):
            if name in params:
                rows = [r for r in rows if r.get(name) == params[name]]
        if "types" in params:
            rows = [r for r in rows if r["type"] in params["types"]]
        ids = [r["id"] for r in rows]
        for name in ("starting_after", "ending_before"):
            if name in params and params[name] not in ids:
                raise invalid(f"No such {kind}: '{params[name]}'", name, "resource_missing")
        if "starting_after" in params:
            rows = rows[ids.index(params["starting_after"]) + 1:]
        limit = integer(params, "limit", 1, 100, 10)
        if "ending_before" in params:
            rows = rows[:ids.index(params["ending_before"])]
            more, rows = len(rows) > limit, rows[-limit:]
        else:
            more, rows = len(rows) > limit, rows[:limit]
        return {"object": "list", "url": path, "has_more": more,
                "data": [self._expanded(row, params, "data.") for row in rows]}


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address, stripe):
        self.stripe = stripe
        super().__init__(address, _Handler)

    def handle_error(self, request, client_address):
        pass  # a client that was killed in the middle


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._handle("GET")

    def do_POST(self):
        self._handle("POST")

    def _handle(self, method):
        stripe = self.server.stripe
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        if not path.startswith("/v1/"):
            self._page(method, path)
            return
        text = body.decode() if method == "POST" else query
        pairs = urllib.parse.parse_qsl(text, keep_blank_values=True)
        record = {"method": method, "path": path, "pairs": pairs, "text": text,
                  "headers": {name.lower(): value for name, value in self.headers.items()}, "status": 0}
        with stripe.lock:
            stripe.requests.append(record)
        rule = stripe._trouble_for(path, text)
        if rule is not None and not self._trouble(stripe, rule, record):
            return
        stripe._stop(path, "before", text)
        status, answer, headers = self._answer(stripe, method, path, pairs, record)
        stripe._stop(path, "after", text)
        if rule is not None and rule.lose:
            self._drop()
            return
        self._send(record, status, answer, headers)

    def _trouble(self, stripe, rule, record):
        """Whether the request is served nevertheless."""
        if rule.hang:
            stripe.closing.wait()
            return False
        if rule.delay:
            stripe.closing.wait(rule.delay)
        if rule.drop:
            self._drop()
            return False
        if rule.status:
            self._send(record, rule.status, {"error": {"type": "api_error", "message": "made for a test", **rule.error}},
                       rule.headers)
            return False
        return True

    def _drop(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, stripe, method, path, pairs, record):
        try:
            with stripe.lock:
                self._check_headers(stripe, method)
            record["params"] = params = nested(pairs)
            if method == "GET":
                with stripe.lock:
                    return 200, stripe.answer(method, path, params), {}
            return self._once(stripe, path, params)
        except Refusal as e:
            return e.status, {"error": e.error()}, {}

    def _check_headers(self, stripe, method):
        if self.headers.get("Authorization") != "Bearer " + stripe.key:
            raise Refusal(401, "invalid_request_error", "", "Invalid API Key provided: sk_test_****")
        if not re.fullmatch(r"\d{4}-\d\d-\d\d(\.[a-z]+)?", self.headers.get("Stripe-Version") or ""):
            raise invalid("Stripe-Version is missing")
        if method == "POST" and not 0 < len(self.headers.get("Idempotency-Key") or "") <= 255:
            raise invalid("Idempotency-Key is missing")

    def _once(self, stripe, path, params):
        key, what = self.headers["Idempotency-Key"], (path, json.dumps(params, sort_keys=True))
        with stripe.lock:
            known = stripe.keys.get(key)
            if known is not None and known["what"] != what:
                raise Refusal(400, "idempotency_error", "", "Keys for idempotent requests can only be used with the "
                              "same parameters they were first used with.")
            if known is not None and known["answer"] is None:
                raise Refusal(409, "idempotency_error", "idempotency_key_in_use", "under way")
            if known is not None:
                return known["answer"][0], known["answer"][1], {"Idempotent-Replayed": "true"}
            known = stripe.keys[key] = {"what": what, "answer": None}
            try:
                known["answer"] = (200, copy.deepcopy(stripe.answer("POST", path, params)))
            except Refusal as e:
                if e.status != 402:
                    del stripe.keys[key]
                    raise
                # That a bank declined is an answer like another, and is given again.
                known["answer"] = (402, {"error": e.error()})
            except BaseException:
                del stripe.keys[key]
                raise
            return *known["answer"], {}

    def _send(self, record, status, answer, headers):
        shown = {k: v for k, v in answer.items() if not k.startswith("_")}
        if isinstance(shown.get("data"), list):
            shown["data"] = [{k: v for k, v in row.items() if not k.startswith("_")} for row in shown["data"]]
        body = json.dumps(shown, indent=2).encode()
        record["status"] = status
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Request-Id", "req_" + secrets.token_hex(7))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def date_time_string(self, timestamp=None):
        return super().date_time_string(time.time() + self.server.stripe.clock_skew)

    def _page(self, method, path):
        """The Checkout page: POST pays and goes back to success_url."""
        stripe = self.server.stripe
        match = re.fullmatch(r"/c/pay/(\w+)", path)
        session = stripe.objects["checkout.session"].get(match[1]) if match else None
        if session is None or session["status"] != "open":
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if method == "POST":
            stripe.pay(session["id"])
            self.send_response(303)
            self.send_header("Location", session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"]))
            self.send_header("Content-Length", "0")
            self.end_headers()
            if stripe.webhook_url:
                threading.Thread(target=stripe.deliver, daemon=True).start()
            return
        back = html.escape(session.get("cancel_url") or session["success_url"])
        page = (f"<!doctype html><html lang=en><title>Fake payment page</title><h1>A payment page for tests and the demo</h1>"
                f"<p>No money moves, and no card is asked for.</p><form method=post><button>Pay {session['amount_total'] / 100:.2f} "
                f"{session['currency'].upper()}</button></form><p><a href=\"{back}\">Go back without paying</a></p>").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)


def main():
    parser = argparse.ArgumentParser(description="a Stripe for tests")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--webhook-url")
    options = parser.parse_args()
    with FakeStripe(port=options.port, webhook_url=options.webhook_url) as stripe:
        # Of an octroi that stays: its keys, and customers of the time before this process.
        stripe.key = os.environ.get("FAKE_STRIPE_KEY", stripe.key)
        stripe.webhook_secret = os.environ.get("FAKE_STRIPE_WEBHOOK_SECRET", stripe.webhook_secret)
        if not stripe.key.startswith("sk_test_"):
            parser.error("this fake has no live key")
        stripe.remembers_customers = False
        if "FAKE_STRIPE_KEY" not in os.environ:
            for name, value in stripe.settings().items():
                print(f"{name} = {value}", flush=True)
        try:
            stripe._thread.join()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
