"""Guarded chats, until so many were answered:  chats.py MODE PROVIDER SPOOL ACCOUNT COUNT.  Environment as for the client.

Refusals are tried again: the test kills octroi, the web server and the database meanwhile.  MODE: sync, async, wrapped.
"""

import asyncio
import concurrent.futures
import json
import logging
import sys
import time
import urllib.request

import octroi

logging.disable()
OPTIONS = {"connect_seconds": 0.5, "answer_seconds": 2}
BOUNDS = {"model": "gpt-4o", "inputTokens": 100, "maxOutputTokens": 100}
WORKERS = 4


def post(provider, most):
    body = {"model": "gpt-4o", "max_tokens": most}
    request = urllib.request.Request(f"{provider}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def sync(provider, spool, account, count):
    client = octroi.Octroi.from_environment(spool=spool, **OPTIONS)

    def chat(_):
        while True:
            try:
                return client.guard(lambda hold: post(provider, hold.maxOutputTokens), account=account, **BOUNDS)
            except octroi.Refusal:
                time.sleep(0.05)

    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(chat, range(count)))


async def in_async(provider, spool, account, count):
    client = octroi.AsyncOctroi.from_environment(spool=spool, **OPTIONS)
    loop, left = asyncio.get_running_loop(), iter(range(count))

    async def chats():
        for _ in left:
            while True:
                try:
                    async with client.hold(account=account, **BOUNDS) as hold:
                        answer = await loop.run_in_executor(None, post, provider, hold.maxOutputTokens)
                        await hold.settle(answer["usage"])
                    break
                except octroi.Refusal:
                    await asyncio.sleep(0.05)

    await asyncio.gather(*(chats() for _ in range(WORKERS)))
    await client.aclose()


def wrapped(provider, spool, account, count):
    import openai

    client = octroi.Octroi.from_environment(spool=spool, **OPTIONS)
    guarded = client.wrap(openai.OpenAI(base_url=f"{provider}/v1", api_key="sk", max_retries=0), account)

    def chat(_):
        while True:
            try:
                return guarded.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], max_tokens=100)
            except octroi.Refusal:
                time.sleep(0.05)

    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(chat, range(count)))


if __name__ == "__main__":
    mode, provider, spool, account, count = sys.argv[1:]
    if mode == "async":
        asyncio.run(in_async(provider, spool, account, int(count)))
    else:
        globals()[mode](provider, spool, account, int(count))
