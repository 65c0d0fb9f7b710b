"""Scenes with the official packages, wrapped:  wrapped.py PACKAGE  (openai, anthropic, google)

Environment as for the client, and PROVIDER.  For each scene a line from standard input is awaited; then the scene is played
for the account of its name, and its outcome printed as JSON.
"""

import asyncio
import gc
import json
import os
import sys
import traceback

import octroi

PROVIDER = os.environ["PROVIDER"]
QUESTION = [{"role": "user", "content": "What is six times seven?"}]
SYNC = octroi.Octroi.from_environment(answer_seconds=5)
ASYNC = octroi.AsyncOctroi.from_environment(answer_seconds=5)
SCENES = {}
LOOP = asyncio.new_event_loop()


def scene(function):
    SCENES[function.__name__.strip("_").replace("_", "-")] = function
    return function


# ---- OpenAI ------------------------------------------------------------------------------------------------


def openai_scenes():
    import openai

    given = {"base_url": f"{PROVIDER}/v1", "api_key": "sk-canary", "max_retries": 0}
    client = SYNC.wrap(openai.OpenAI(**given))
    async_client = ASYNC.wrap(openai.AsyncOpenAI(**given))
    create = client.chat.completions.create
    asked = {"model": "gpt-4o", "messages": QUESTION, "max_completion_tokens": 50}

    @scene
    def chat():
        return create(**asked).choices[0].message.content

    @scene
    def bound_is_set():
        return create(model="gpt-4o", messages=QUESTION).choices[0].message.content

    @scene
    def several_answers():
        return create(**asked, n=3).choices[0].message.content

    @scene
    def stream():
        return [chunk.choices[0].delta.content for chunk in create(**asked, stream=True)]

    @scene
    def stream_with_usage():
        chunks = list(create(**asked, stream=True, stream_options={"include_usage": True}))
        return chunks[-1].usage.total_tokens

    @scene
    def early_break():
        with create(**asked, stream=True) as chunks:
            for chunk in chunks:
                return chunk.choices[0].delta.content

    @scene
    def stream_that_is_dropped():
        for _ in create(**asked, stream=True):
            break
        gc.collect()  # the package's stream is a circle

    @scene
    def stream_helper():
        with client.chat.completions.stream(**asked) as events:
            return events.get_final_completion().choices[0].message.content

    @scene
    def tools():
        function = {"name": "six_times", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}}}
        request = {**asked, "tools": [{"type": "function", "function": function}]}
        first = create(**request).choices[0].message
        (call,) = first.tool_calls
        said = {"role": "tool", "tool_call_id": call.id, "content": str(6 * json.loads(call.function.arguments)["n"])}
        return create(**{**request, "messages": [*QUESTION, first.model_dump(exclude_none=True), said]}).choices[0].message.content

    @scene
    def responses():
        return client.responses.create(model="gpt-4o", input="What?", max_output_tokens=50).output_text

    @scene
    def responses_stream():
        return len(list(client.responses.create(model="gpt-4o", input="What?", max_output_tokens=50, stream=True)))

    @scene
    def raw_response():
        return client.chat.completions.with_raw_response.create(**asked).parse().choices[0].message.content

    @scene
    def streamed_response():
        with client.chat.completions.with_streaming_response.create(**asked) as response:
            return "Hi" in response.read().decode()

    @scene
    def embeddings():
        return client.embeddings.create(model="gpt-4o", input="words").data[0].index

    @scene
    def copy_of_the_client():
        return client.with_options(timeout=9).chat.completions.create(**asked).choices[0].message.content

    @scene
    def one_failure_and_a_retry():
        return client.with_options(max_retries=2).chat.completions.create(**asked).choices[0].message.content

    @scene
    def refused_by_the_provider():
        create(**asked)

    @scene
    def models_are_free():
        return client.models.list().data[0].id

    @scene
    def no_credit():
        create(**asked)

    @scene
    def no_credit_with_retries():
        client.with_options(max_retries=3).chat.completions.create(**asked)

    @scene
    def unknown_call():
        client.images.generate(model="gpt-4o", prompt="a house")

    @scene
    def file_of_a_batch():
        client.files.create(file=b"{}", purpose="batch")

    @scene
    def realtime():
        with client.realtime.connect(model="gpt-4o"):
            pass

    @scene
    def count_that_is_a_text():
        create(**asked, extra_body={"n": "1"})

    @scene
    def larger_bound_beside():
        return create(**asked, extra_body={"max_tokens": 90}).choices[0].message.content

    @scene
    def provider_is_away():
        there = SYNC.wrap(openai.OpenAI(base_url="http://127.0.0.1:1/v1", api_key="sk-canary", max_retries=0))
        there.chat.completions.create(**asked)

    @scene
    def provider_hangs():
        client.with_options(timeout=1).chat.completions.create(**asked)

    @scene
    def wrapped_twice():
        SYNC.wrap(client)

    @scene
    async def async_chat():
        return (await async_client.chat.completions.create(**asked)).choices[0].message.content

    @scene
    async def async_stream():
        return [chunk.choices[0].delta.content async for chunk in await async_client.chat.completions.create(**asked, stream=True)]

    @scene
    async def async_early_break():
        async with await async_client.chat.completions.create(**asked, stream=True) as chunks:
            async for chunk in chunks:
                return chunk.choices[0].delta.content

    @scene
    async def async_many():
        with octroi.acting_for("async-many"):
            await asyncio.gather(*(async_client.chat.completions.create(**asked) for _ in range(8)))

    @scene
    async def async_no_credit():
        await async_client.chat.completions.create(**asked)

    @scene
    async def async_cancelled():
        task = asyncio.ensure_future(async_client.chat.completions.create(**asked))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        await asyncio.sleep(0.5)

    @scene
    async def async_refused_by_the_provider():
        await async_client.chat.completions.create(**asked)


# ---- Anthropic ---------------------------------------------------------------------------------------------


def anthropic_scenes():
    import anthropic

    given = {"base_url": PROVIDER, "api_key": "sk-canary", "max_retries": 0}
    client = SYNC.wrap(anthropic.Anthropic(**given))
    async_client = ASYNC.wrap(anthropic.AsyncAnthropic(**given))
    asked = {"model": "claude-sonnet-4-20250514", "messages": QUESTION, "max_tokens": 50}

    @scene
    def message():
        return client.messages.create(**asked).content[0].text

    @scene
    def stream():
        return [event.type for event in client.messages.create(**asked, stream=True)][-1]

    @scene
    def stream_helper():
        with client.messages.stream(**asked) as events:
            return events.get_final_text()

    @scene
    def early_break():
        with client.messages.stream(**asked) as events:
            for text in events.text_stream:
                return text

    @scene
    def tools():
        tool = {"name": "six_times", "input_schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}
        first = client.messages.create(**asked, tools=[tool])
        (call,) = first.content
        said = [{"type": "tool_result", "tool_use_id": call.id, "content": str(6 * call.input["n"])}]
        messages = [*QUESTION, {"role": "assistant", "content": [call.model_dump()]}, {"role": "user", "content": said}]
        return client.messages.create(**{**asked, "messages": messages}, tools=[tool]).content[0].text

    @scene
    def counting_is_free():
        return client.messages.count_tokens(model=asked["model"], messages=QUESTION).input_tokens

    @scene
    def batches():
        client.messages.batches.create(requests=[{"custom_id": "1", "params": asked}])

    @scene
    def no_credit():
        client.messages.create(**asked)

    @scene
    def one_failure_and_a_retry():
        return client.with_options(max_retries=2).messages.create(**asked).content[0].text

    @scene
    async def async_message():
        return (await async_client.messages.create(**asked)).content[0].text

    @scene
    async def async_stream():
        async with async_client.messages.stream(**asked) as events:
            return await events.get_final_text()

    @scene
    async def async_early_break():
        async with async_client.messages.stream(**asked) as events:
            async for text in events.text_stream:
                return text

    @scene
    async def async_no_credit():
        await async_client.messages.create(**asked)


# ---- Google ------------------------------------------------------------------------------------------------


def google_scenes():
    from google import genai

    client = SYNC.wrap(genai.Client(api_key="canary", http_options={"base_url": PROVIDER}))
    async_client = ASYNC.wrap(genai.Client(api_key="canary", http_options={"base_url": PROVIDER}))
    asked = {"model": "gemini-2.5-flash", "contents": "What is six times seven?", "config": {"max_output_tokens": 50}}

    @scene
    def content():
        return client.models.generate_content(**asked).text

    @scene
    def bound_is_set():
        return client.models.generate_content(model=asked["model"], contents="What?").text

    @scene
    def stream():
        return [chunk.text for chunk in client.models.generate_content_stream(**asked)]

    @scene
    def early_break():
        for chunk in client.models.generate_content_stream(**asked):
            return chunk.text

    @scene
    def chat():
        return client.chats.create(model=asked["model"]).send_message("What?").text

    @scene
    def no_credit():
        client.models.generate_content(**asked)

    @scene
    def second_bound():
        http = {"extra_body": {"generation_config": {"max_output_tokens": 9000}}}
        client.models.generate_content(**{**asked, "config": {"http_options": http}})

    @scene
    def caches():
        client.caches.create(model="gemini-2.5-flash", config={"contents": "words"})

    @scene
    async def async_content():
        return (await async_client.aio.models.generate_content(**asked)).text

    @scene
    async def async_stream():
        return [chunk.text async for chunk in await async_client.aio.models.generate_content_stream(**asked)]

    @scene
    async def async_no_credit():
        await async_client.aio.models.generate_content(**asked)

    @scene
    async def live():
        async with async_client.aio.live.connect(model="gemini-2.5-flash"):
            pass


async def play(name):
    with octroi.acting_for(name):
        result = SCENES[name]()
        return await result if asyncio.iscoroutine(result) else result


def told(name):
    try:
        return {"exception": None, "result": LOOP.run_until_complete(play(name))}
    except Exception as e:
        kinds = [kind.__name__ for kind in type(e).__mro__]
        return {"exception": kinds, "message": str(e), "canary": "canary" in "".join(traceback.format_exception(type(e), e, None)),
                "trace": traceback.format_exc()}


if __name__ == "__main__":
    {"openai": openai_scenes, "anthropic": anthropic_scenes, "google": google_scenes}[sys.argv[1]]()
    print(json.dumps(list(SCENES)), flush=True)
    for line in sys.stdin:
        print(json.dumps(told(line.strip())), flush=True)
