"""A mail server for tests: Debian's aiosmtpd, over TLS (smtps) or with STARTTLS, on a thread of its own.

    with Mailbox() as m:
        Octroi(settings=m.settings())
        m.of("ann@example.org")[0]["Subject"]

It keeps what is sent (email.message.EmailMessage), one for each recipient, as a mailbox does that drops a second mail of
the same Message-ID (`deliveries` has all of them).  Python's /usr/bin/python3 has the package: python3-aiosmtpd.
"""

import asyncio
import email
import email.policy
import os
import shutil
import ssl
import tempfile
import threading


from octroi import free_port
from receiver import make_certificate

FROM = "alerts@octroi.example"


class Mailbox:
    """rcpt, data: functions of (address), (message) that give the server's answer, or None to take it; each may wait, with
    m.stopping.  login: (user, password) that has to be given."""

    def __init__(self, starttls=False, login=None, like=None):

        self.starttls, self.login = starttls, login
        self.rcpt, self.data = lambda address: None, lambda message: None
        self.deliveries, self.stopping, self.raw, self.tls = [], threading.Event(), [], []
        self._home = tempfile.mkdtemp(prefix="octroi-mailbox-")
        os.chmod(self._home, 0o755)
        self.certificate, self.key = (like.certificate, like.key) if like else make_certificate(self._home)
        self.port = free_port()
        self.loop = asyncio.new_event_loop()
        self.up = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def settings(self, **more):
        scheme = "smtp" if self.starttls else "smtps"
        found = {"smtp_url": f"{scheme}://localhost:{self.port}", "mail_from": FROM,
                 "outgoing_ca_file": str(self.certificate), **more}
        if self.login:
            found |= {"smtp_user": self.login[0], "smtp_password": self.login[1]}
        return found

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._open())
        self.up.set()
        self.loop.run_forever()

    async def _open(self):
        from aiosmtpd.smtp import SMTP, AuthResult

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        box = self

        class Handler:
            async def handle_RCPT(self, server, session, envelope, address, options):
                answer = await asyncio.get_running_loop().run_in_executor(None, box.rcpt, address)
                if answer:
                    return answer
                envelope.rcpt_tos.append(address)
                return "250 OK"

            async def handle_DATA(self, server, session, envelope):
                message = email.message_from_bytes(envelope.content, policy=email.policy.default)
                answer = await asyncio.get_running_loop().run_in_executor(None, box.data, message)
                if answer:
                    return answer
                box.raw.append(envelope.content)
                box.tls.append(session.ssl is not None or not box.starttls)
                for address in envelope.rcpt_tos:
                    box.deliveries.append((address, message))
                return "250 OK"

        def authenticate(server, session, envelope, mechanism, data):
            good = (data.login.decode(), data.password.decode()) == box.login
            return AuthResult(success=good, handled=good)

        def make():
            more = {"tls_context": context, "require_starttls": True} if box.starttls else {}
            if box.login:
                more |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": box.starttls}
            return SMTP(Handler(), enable_SMTPUTF8=False, hostname="mail.example", **more)

        self.server = await self.loop.create_server(make, "127.0.0.1", self.port, ssl=None if self.starttls else context)

    def __enter__(self):
        self.thread.start()
        assert self.up.wait(10)
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.loop.call_soon_threadsafe(self.server.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        shutil.rmtree(self._home, ignore_errors=True)

    def of(self, address):
        """The mails in the address's box, one for each Message-ID."""
        return list({message["Message-ID"]: message for to, message in self.deliveries if to == address}.values())


def part(message, subtype):
    return message.get_body((subtype,)).get_content()
