"""Spends on an account until it is told to stop: spend.py MODE SPOOL ACCOUNT COUNT.  Environment as for the client.

Prints a line of JSON for each request: its hold and the tokens that it used, or the exception.  The test kills octroi
meanwhile.  A line from standard input is awaited before each authorize and each settle.  MODE: sync, async.
"""

import asyncio
import json
import logging
import sys

import octroi

logging.disable()
OPTIONS = {"connect_seconds": 0.5, "answer_seconds": 2}


def say(**told):
    print(json.dumps(told), flush=True)


def spend(spool, account, count):
    client = octroi.Octroi.from_environment(spool=spool, **OPTIONS)
    for i in range(1, count + 1):
        sys.stdin.readline()
        try:
            hold = client.authorize(account=account, model="gpt-4o", inputTokens=100, maxOutputTokens=100)
        except octroi.Refusal as e:
            say(refused=str(e))
            continue
        say(hold=hold.id)
        sys.stdin.readline()
        used = {"prompt_tokens": 10 + i, "completion_tokens": 5, "total_tokens": 15 + i}
        settlement = hold.settle(used)
        say(hold=hold.id, input=10 + i, output=5, delivered=settlement.delivered)


async def spend_async(spool, account, count):
    client = octroi.AsyncOctroi.from_environment(spool=spool, **OPTIONS)
    for i in range(1, count + 1):
        sys.stdin.readline()
        try:
            hold = await client.authorize(account=account, model="gpt-4o", inputTokens=100, maxOutputTokens=100)
        except octroi.Refusal as e:
            say(refused=str(e))
            continue
        say(hold=hold.id)
        sys.stdin.readline()
        settlement = await hold.settle({"prompt_tokens": 10 + i, "completion_tokens": 5, "total_tokens": 15 + i})
        say(hold=hold.id, input=10 + i, output=5, delivered=settlement.delivered)
    await client.aclose()


if __name__ == "__main__":
    mode, spool, account, count = sys.argv[1:]
    if mode == "async":
        asyncio.run(spend_async(spool, account, int(count)))
    else:
        spend(spool, account, int(count))
