"""Guards requests to a provider, each before a server of its own:  guarded.py MODE  < {"name": [octroi, provider, options]}

Prints the outcome of each as JSON.  MODE: sync, stream, decorator, wrapped (the package openai), async,
threads (asyncio without httpx), async-stream, async-wrapped.
"""

import asyncio
import concurrent.futures
import json
import logging
import pickle
import sys
import traceback
import urllib.request

import octroi

KEY = "oct_guard_canary"
REQUEST = {"account": "user:1", "model": "gpt-4o"}


def post(provider, most):
    request = urllib.request.Request(f"{provider}/v1/chat/completions", json.dumps({"max": most}).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def chunks(provider, hold):
    yield {"choices": [{"delta": {"content": "Hi"}}]}
    yield post(provider, hold.maxOutputTokens)


async def later(provider, hold):
    return await asyncio.get_running_loop().run_in_executor(None, post, provider, hold.maxOutputTokens)


async def later_chunks(provider, hold):
    yield {"choices": []}
    yield await later(provider, hold)


def sync(client, provider):
    with client.hold(**REQUEST) as hold:
        hold.settle(post(provider, hold.maxOutputTokens)["usage"])


def stream(client, provider):
    hold = client.authorize(**REQUEST)
    for _ in hold.stream(chunks(provider, hold)):
        pass


def decorator(client, provider):
    @client.guarded(account=lambda user: f"user:{user}", model="gpt-4o")
    def ask(hold, user):
        return post(provider, hold.maxOutputTokens)

    ask(1)


async def in_async(client, provider):
    async with client.hold(**REQUEST) as hold:
        await hold.settle((await later(provider, hold))["usage"])


async def in_async_stream(client, provider):
    @client.guarded(**REQUEST)
    async def ask(hold):
        async for chunk in later_chunks(provider, hold):
            yield chunk

    async for _ in ask():
        pass


def wrapped(client, provider):
    import openai

    guarded = client.wrap(openai.OpenAI(base_url=f"{provider}/v1", api_key="sk"), "user:1")
    guarded.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])


async def in_async_wrapped(client, provider):
    import openai

    guarded = client.wrap(openai.AsyncOpenAI(base_url=f"{provider}/v1", api_key="sk"), "user:1")
    async for _ in await guarded.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True):
        pass


MODES = {"wrapped": wrapped, "async-wrapped": in_async_wrapped, "sync": sync, "stream": stream, "decorator": decorator, "async": in_async, "threads": in_async,
         "async-stream": in_async_stream}


def options_of(given, lines):
    logger = logging.Logger("octroi")
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(handler.format(record))
    logger.addHandler(handler)
    return {"connect_seconds": 1, "answer_seconds": 5, "logger": logger, **given}


def outcome(e, client, lines):
    if e is None:
        return {"exception": None, "log": "\n".join(lines)}
    told = [repr(e), repr(vars(e)), str(vars(client)), *traceback.TracebackException.from_exception(e, capture_locals=True).format()]
    try:
        told.append(pickle.dumps(client).decode(errors="replace"))
    except TypeError as refused:
        told.append(str(refused))
    return {"exception": type(e).__name__, "status": e.http_status, "message": str(e), "en": e.sentence("en"),
            "fr": e.sentence("fr"), "html": e.html("fr"), "document": e.document("fr"), "told": "".join(told),
            "log": "\n".join(lines)}


def play(mode, url, provider, given):
    lines = []
    client = octroi.Octroi(url, KEY, **options_of(given, lines))
    try:
        MODES[mode](client, provider)
        return outcome(None, client, lines)
    except octroi.Refusal as e:
        return outcome(e, client, lines)
    finally:
        client.close()


async def play_async(mode, url, provider, given):
    lines = []
    client = octroi.AsyncOctroi(url, KEY, **options_of(given, lines))
    if mode == "threads":
        client._async_transport._httpx = None
    elif client._async_transport._httpx is None:
        return {"exception": "httpx is missing"}
    try:
        await MODES[mode](client, provider)
        return outcome(None, client, lines)
    except octroi.Refusal as e:
        return outcome(e, client, lines)
    finally:
        await client.aclose()


async def play_all(mode, worlds):
    asyncio.get_running_loop().set_default_executor(concurrent.futures.ThreadPoolExecutor(64))
    return dict(zip(worlds, await asyncio.gather(*(play_async(mode, *world) for world in worlds.values()))))


def main(mode):
    worlds = json.load(sys.stdin)
    if mode in ("sync", "stream", "decorator", "wrapped"):
        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            print(json.dumps(dict(zip(worlds, pool.map(lambda world: play(mode, *world), worlds.values())))))
    else:
        print(json.dumps(asyncio.run(play_all(mode, worlds))))


if __name__ == "__main__":
    main(*sys.argv[1:])
