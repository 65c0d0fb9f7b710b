"""Scenes with the official packages of OpenAI, Anthropic and Google, pointed at octroi-meter:  sdk.py PACKAGE

METER is its address, KEY an application's key, POOR one of an account without credit.  Prints the outcome of each scene, or
the name of its exception, as one JSON object.  A scene's question is what the mock provider plays (provider.py).
"""

import asyncio
import json
import os
import sys

METER, KEY, POOR = os.environ["METER"], os.environ["KEY"], os.environ["POOR"]
SCENES = {}


def scene(function):
    SCENES[function.__name__.strip("_").replace("_", "-")] = function
    return function


def ask(id, **more):
    """A question, as what is to be played."""
    return json.dumps({"id": id, "pad": "x" * 1500, **more})


def user(id, **more):
    return [{"role": "user", "content": ask(id, **more)}]


def told(exception):
    """A refusal as an application sees it."""
    code = getattr(exception, "status_code", None) or getattr(exception, "code", None)
    return f"{type(exception).__name__} {code}"


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def openai_scenes():
    import openai

    client = openai.OpenAI(base_url=METER + "/openai/v1", api_key=KEY)
    poor = openai.OpenAI(base_url=METER + "/openai/v1", api_key=POOR)
    wrong = openai.OpenAI(base_url=METER + "/openai/v1", api_key="sk-proj-wrong")
    mistral = openai.OpenAI(base_url=METER + "/mistral/v1", api_key=KEY)
    asked = {"model": "gpt-4o", "max_completion_tokens": 100}

    @scene
    def chat():
        return client.chat.completions.create(**asked, messages=user("chat")).choices[0].message.content

    @scene
    def stream():
        return text_of(client.chat.completions.create(**asked, messages=user("stream"), stream=True))

    @scene
    def stream_with_usage():
        chunks = list(client.chat.completions.create(**asked, messages=user("usage"), stream=True, stream_options={"include_usage": True}))
        return chunks[-1].usage.total_tokens

    @scene
    def every_chunk_has_a_choice():
        return all(chunk.choices for chunk in client.chat.completions.create(**asked, messages=user("choices"), stream=True))

    @scene
    def early_break():
        with client.chat.completions.create(**asked, messages=user("break", wait_at=3), stream=True) as chunks:
            for chunk in chunks:
                if chunk.choices[0].delta.content:
                    return chunk.choices[0].delta.content

    @scene
    def tools():
        tool = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}
        chunks = list(client.chat.completions.create(**asked, tools=[tool], messages=user("tools", stream="openai-tools"), stream=True))
        calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
        return [calls[0].function.name, "".join(call.function.arguments for call in calls)]

    @scene
    def stream_helper():
        with client.chat.completions.stream(**asked, messages=user("helper")) as events:
            return events.get_final_completion().choices[0].message.content

    @scene
    def responses():
        return client.responses.create(model="gpt-4o", input=ask("responses"), max_output_tokens=50).status

    @scene
    def responses_stream():
        events = list(client.responses.create(model="gpt-4o", input=ask("responses-stream"), max_output_tokens=50, stream=True))
        return [events[-1].type, events[-1].response.output_text]

    @scene
    def embeddings():
        return client.embeddings.create(model="gpt-4o", input=ask("embeddings")).data[0].index

    @scene
    def models():
        return "gpt-4o" in [model.id for model in client.models.list()]

    @scene
    def one_failure_and_a_retry():
        return client.chat.completions.create(**asked, messages=user("retry", fail_first=1)).choices[0].message.content

    @scene
    def refused_by_the_provider():
        client.chat.completions.create(**asked, messages=user("refused", status=400))

    @scene
    def no_credit():
        poor.with_options(max_retries=0).chat.completions.create(**asked, messages=user("poor"))

    @scene
    def no_credit_with_retries_for_a_stream():
        list(poor.chat.completions.create(**asked, messages=user("poor"), stream=True))

    @scene
    def wrong_key():
        wrong.chat.completions.create(**asked, messages=user("wrong"))

    @scene
    def another_provider():
        return text_of(mistral.chat.completions.create(model="mistral-small-latest", max_tokens=100, messages=user("mistral", stream="mistral"),
                                                       stream=True))

    @scene
    def async_streams():
        async def one(n):
            async with openai.AsyncOpenAI(base_url=METER + "/openai/v1", api_key=KEY) as own:
                chunks = await own.chat.completions.create(**asked, messages=user(f"async-{n}"), stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

        async def all_of_them():
            return await asyncio.gather(*map(one, range(8)))
        return len(set(asyncio.run(all_of_them())))


def anthropic_scenes():
    import anthropic

    client = anthropic.Anthropic(base_url=METER + "/anthropic", api_key=KEY)
    poor = anthropic.Anthropic(base_url=METER + "/anthropic", api_key=POOR)
    wrong = anthropic.Anthropic(base_url=METER + "/anthropic", api_key="sk-ant-wrong")
    by_token = anthropic.Anthropic(base_url=METER + "/anthropic", auth_token=KEY)
    asked = {"model": "claude-sonnet-4-20250514", "max_tokens": 100}

    @scene
    def message():
        return client.messages.create(**asked, messages=user("message")).content[0].text

    @scene
    def stream():
        return [event.type for event in client.messages.create(**asked, messages=user("stream"), stream=True)][-1]

    @scene
    def stream_helper():
        with client.messages.stream(**asked, messages=user("helper")) as events:
            return events.get_final_text()

    @scene
    def tools():
        with client.messages.stream(**asked, messages=user("tools", stream="anthropic-tools")) as events:
            return events.get_final_message().content[-1].input

    @scene
    def early_break():
        with client.messages.stream(**asked, messages=user("break", wait_at=5)) as events:
            for text in events.text_stream:
                return text

    @scene
    def counting_is_free():
        return client.messages.count_tokens(model=asked["model"], messages=user("count")).input_tokens

    @scene
    def auth_token():
        return by_token.messages.create(**asked, messages=user("token")).content[0].text

    @scene
    def one_failure_and_a_retry():
        return client.messages.create(**asked, messages=user("retry", fail_first=1)).content[0].text

    @scene
    def no_credit():
        poor.messages.create(**asked, messages=user("poor"))

    @scene
    def wrong_key():
        wrong.messages.create(**asked, messages=user("wrong"))


def google_scenes():
    from google import genai

    def client(key):
        return genai.Client(api_key=key, http_options={"base_url": METER + "/gemini"})

    rich, poor, wrong = client(KEY), client(POOR), client("AIza-wrong")
    asked = {"model": "gemini-2.5-flash"}

    @scene
    def content():
        return rich.models.generate_content(**asked, contents=ask("content")).text

    @scene
    def stream():
        return "".join(chunk.text for chunk in rich.models.generate_content_stream(**asked, contents=ask("stream")))

    @scene
    def early_break():
        for chunk in rich.models.generate_content_stream(**asked, contents=ask("break", wait_at=2)):
            return chunk.text

    @scene
    def chat():
        talk = rich.chats.create(**asked)
        return talk.send_message(ask("chat")).text

    @scene
    def no_credit():
        poor.models.generate_content(**asked, contents=ask("poor"))

    @scene
    def wrong_key():
        wrong.models.generate_content(**asked, contents=ask("wrong"))


def play():
    found = {}
    for name, function in SCENES.items():
        try:
            found[name] = function()
        except Exception as exception:  # what an application would see
            found[name] = told(exception)
    return found


if __name__ == "__main__":
    {"openai": openai_scenes, "anthropic": anthropic_scenes, "google": google_scenes}[sys.argv[1]]()
    print(json.dumps(play()))
