"""Events of Clerk: people who sign up, as its webhook tells of them, signed as Svix signs.

    body = event(person(email="ada@example.com"))
    headers = signed_headers(secret, body)
"""

import base64
import hashlib
import hmac
import itertools
import json
import random
import time

_serial = itertools.count(1)


def signature(secret, identity, timestamp, body):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    made = hmac.new(key, f"{identity}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(made).decode()


def signed_headers(secret, body, identity=None):
    identity = identity or f"msg_{random.randrange(10**12)}"
    timestamp = str(int(time.time()))
    return {"svix-id": identity, "svix-timestamp": timestamp,
            "svix-signature": signature(secret, identity, timestamp, body), "Content-Type": "application/json"}


def person(**changes):
    """A new user; email and status (of its verification) may be None."""
    number = next(_serial)
    email = changes.pop("email", f"person{number}@clerk.example.com")
    status = changes.pop("status", "verified")
    addresses = [{"id": "idn_0", "email_address": "second@example.com", "verification": {"status": "verified"}}]
    if email is not None:
        addresses.append({"id": "idn_1", "email_address": email,
                          "verification": {"status": status, "strategy": "email_code"} if status else None})
    return {"id": f"user_{number}x{random.randrange(10**9)}", "object": "user", "first_name": "Ada", "last_name": None,
            "primary_email_address_id": "idn_1" if email is not None else None, "email_addresses": addresses,
            "external_id": None, "public_metadata": {}, "created_at": 1700000000000, **changes}


def event(data, kind="user.created"):
    return json.dumps({"data": data, "object": "event", "type": kind, "timestamp": 1700000000000,
                       "event_attributes": {"http_request": {"client_ip": "", "user_agent": ""}}}).encode()
