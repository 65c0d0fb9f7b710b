"""Small applications with the real frameworks:  frameworks.py NAME, with the environment of the client and PROVIDER.

Each answers questions of a rich user, of a poor one and of a visitor; prints the responses as JSON.
"""

import asyncio
import gc
import json
import os
import sys
import tempfile

import octroi

PROVIDER = os.environ["PROVIDER"]
ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "What?"}], "max_tokens": 50}


def wrapped(client):
    import openai

    return client.wrap(openai.OpenAI(base_url=f"{PROVIDER}/v1", api_key="sk-canary", max_retries=0))


def in_django():
    import django
    from django.conf import settings

    home = tempfile.mkdtemp()
    settings.configure(
        SECRET_KEY="s", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], USE_I18N=True, LANGUAGE_CODE="fr",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{home}/db"}},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "octroi"],
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
                    "octroi.django.OctroiMiddleware"],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        OCTROI={"url": os.environ["OCTROI_INTERNAL_URL"], "key": os.environ["OCTROI_APP_KEY"],
                "account": lambda request: f"django:{request.user.username}" if request.user.is_authenticated else None})
    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.http import HttpResponse
    from django.template import engines
    from django.test import Client
    from django.urls import path
    from octroi.django import client

    call_command("migrate", verbosity=0)
    openai = wrapped(client())

    def ask(request):
        return HttpResponse(openai.chat.completions.create(**ASKED).choices[0].message.content)

    def balance(request):
        return HttpResponse(engines["django"].from_string("{% load octroi %}{% octroi_balance %}").render({}, request))

    def broken(request):
        raise ValueError("another fault")

    globals()["urlpatterns"] = [path("ask", ask), path("balance", balance), path("broken", broken)]
    told = {}
    for name in ("rich", "poor", "visitor"):
        browser = Client(raise_request_exception=False)
        if name != "visitor":
            browser.force_login(User.objects.create_user(name))
        for what, accept in (("ask", "application/json"), ("ask", "text/html"), ("balance", "text/html")):
            answer = browser.get(f"/{what}", headers={"Accept": accept})
            told[f"{name} {what} {accept}"] = [answer.status_code, answer.content.decode()]
    told["broken"] = [Client(raise_request_exception=False).get("/broken").status_code, ""]
    return told


def in_flask():
    from flask import Flask, request
    from octroi.flask import FlaskOctroi

    app = Flask("shop")
    app.config.update(OCTROI_URL=os.environ["OCTROI_INTERNAL_URL"], OCTROI_KEY=os.environ["OCTROI_GUARD_KEY"])
    FlaskOctroi(app, account=lambda: f"flask:{request.headers['X-User']}" if "X-User" in request.headers else None)
    openai = wrapped(app.extensions["octroi"])

    @app.get("/ask")
    def ask():
        return openai.chat.completions.create(**ASKED).choices[0].message.content

    told = {}
    for name in ("rich", "poor", "visitor"):
        for accept in ("application/json", "text/html"):
            user = {} if name == "visitor" else {"X-User": name}
            answer = app.test_client().get("/ask", headers={"Accept": accept, **user})
            told[f"{name} ask {accept}"] = [answer.status_code, answer.get_data(as_text=True)]
    return told


def in_fastapi():
    from fastapi import FastAPI, Header, HTTPException
    from fastapi.testclient import TestClient
    from octroi.fastapi import acting, guarded, install
    import openai

    client = octroi.AsyncOctroi.from_environment()
    provider = client.wrap(openai.AsyncOpenAI(base_url=f"{PROVIDER}/v1", api_key="sk-canary", max_retries=0))
    app = FastAPI()
    install(app)

    def account(x_user: str = Header(default="")):
        if not x_user:
            raise HTTPException(401)
        return f"fastapi:{x_user}"

    @app.get("/hold")
    async def with_hold(hold: octroi.AsyncHold = guarded(client, account, model="gpt-4o", maxOutputTokens=50)):
        import httpx
        async with httpx.AsyncClient() as http:
            answer = (await http.post(f"{PROVIDER}/v1/chat/completions", json={**ASKED, "max_tokens": hold.maxOutputTokens})).json()
        await hold.settle(answer["usage"])
        return answer["choices"][0]["message"]["content"]

    @app.get("/ask", dependencies=[acting(account)])
    async def ask():
        return (await provider.chat.completions.create(**ASKED)).choices[0].message.content

    @app.get("/forgets")
    async def forgets(hold: octroi.AsyncHold = guarded(client, account, model="gpt-4o", maxOutputTokens=50)):
        return "forgot"

    told = {}
    with TestClient(app) as browser:
        for name in ("rich", "poor", "visitor"):
            for what in ("hold", "ask"):
                for accept in ("application/json", "text/html"):
                    user = {} if name == "visitor" else {"X-User": name}
                    answer = browser.get(f"/{what}", headers={"Accept": accept, **user})
                    told[f"{name} {what} {accept}"] = [answer.status_code, answer.text]
        told["forgets"] = [browser.get("/forgets", headers={"X-User": "forgetful"}).status_code, ""]
    return told


def in_celery():
    """A worker takes the task from a broker, and sends the spool."""
    from celery import Celery
    from celery.contrib.testing.worker import start_worker

    app = Celery("shop", broker="memory://", backend="cache+memory://")
    app.conf.imports = ["octroi.celery"]
    app.conf.beat_schedule = {"octroi": {"task": "octroi.replay", "schedule": 60.0}}
    app.loader.import_default_modules()
    with start_worker(app, perform_ping_check=False, pool="solo"):
        return {"left": app.send_task("octroi.replay").get(timeout=30)}


def in_litellm():
    import litellm
    from octroi.litellm import OctroiCallback, Unguarded

    litellm.telemetry = False
    litellm.callbacks = [OctroiCallback(octroi.AsyncOctroi.from_environment())]
    asked = {**ASKED, "model": "openai/gpt-4o", "api_base": f"{PROVIDER}/v1", "api_key": "sk-canary"}

    async def one(name, **more):
        with octroi.acting_for(f"litellm:{name}"):
            return await litellm.acompletion(**{**asked, **more})

    async def attempt(work):
        try:
            return [200, await work]
        except Exception as e:
            return [type(e).__name__, str(e)]

    async def chat(name, **more):
        return (await one(name, **more)).choices[0].message.content

    async def stream(name):
        return "".join([chunk.choices[0].delta.content or "" async for chunk in await one(name, stream=True)])

    async def leave(name):
        async for chunk in await one(name, stream=True):
            break
        gc.collect()
        return chunk.choices[0].delta.content

    async def sync(name):
        try:
            with octroi.acting_for(f"litellm:{name}"):
                litellm.completion(**asked)
        except Unguarded as e:
            return str(e)

    async def all_of_them():
        told = {"rich": await attempt(chat("rich")), "poor": await attempt(chat("poor")), "stream": await attempt(stream("stream")),
                "nobody": await attempt(litellm.acompletion(**asked)), "sync": await attempt(sync("rich")),
                "several": await attempt(chat("several", n=2)), "left": await attempt(leave("left")),
                "images": await attempt(litellm.aimage_generation(prompt="x", model="openai/gpt-4o", api_base=f"{PROVIDER}/v1", api_key="sk"))}
        await asyncio.sleep(2)  # LiteLLM's own queue of events
        return told

    return asyncio.run(all_of_them())


if __name__ == "__main__":
    print(json.dumps(globals()[f"in_{sys.argv[1]}"]()))
