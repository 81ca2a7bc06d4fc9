"""Official SDKs, what is built on them, and the standard libraries of languages."""

import importlib.util
import json
import sys
from collections.abc import Callable

import pytest

from tests.clients.case import KEY, Case
from tests.clients.programs import HERE, from_pypi, installed, on_path

_CHAT = """
import openai
asked = [{"role": "user", "content": "x"}]
reply = openai.OpenAI(max_retries=0).chat.completions.create(model="gpt-4o", messages=asked)
print(reply.choices[0].message.content)
"""
_MESSAGES = """
import anthropic
asked = [{"role": "user", "content": "x"}]
messages = anthropic.Anthropic(max_retries=0).messages
with messages.stream(model="claude-sonnet-4-5", max_tokens=9, messages=asked) as reply:
    print("".join(reply.text_stream))
"""
_GEMINI = """
from google import genai
client = genai.Client()
print(client.models.generate_content(model="gemini-2.5-flash", contents="x").text)
"""
_REQUESTS = """
import os, requests
base = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
reply = requests.post(f"{base}/chat/completions", json={"model": "gpt-4o", "messages": []}, timeout=60,
                      headers={"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"})
print(reply.json()["choices"][0]["message"]["content"])
"""
_NODE = f"""
import OpenAI from {json.dumps(str(HERE / "node_modules/openai/index.mjs"))};
const reply = await new OpenAI({{ maxRetries: 0 }}).chat.completions.create({{ model: 'gpt-4o', messages: [] }});
console.log(reply.choices[0].message.content);
"""
_LITELLM = """
import litellm, sys
reply = litellm.completion(sys.argv[1], [{"role": "user", "content": "x"}])
print(reply.choices[0].message.content)
"""
_LANGCHAIN = """
from langchain_openai import ChatOpenAI
print(ChatOpenAI(model="gpt-4o", max_retries=0).invoke("x").content)
"""
_LANGCHAIN_ANTHROPIC = """
from langchain_anthropic import ChatAnthropic
print(ChatAnthropic(model="claude-sonnet-4-5", max_retries=0).invoke("x").content)
"""
_LANGCHAIN_GEMINI = """
from langchain_google_genai import ChatGoogleGenerativeAI
print(ChatGoogleGenerativeAI(model="gemini-2.5-flash", max_retries=0).invoke("x").text)
"""
_AGENTS = """
from agents import Agent, Runner
print(Runner.run_sync(Agent(name="x", model="gpt-5"), "x").final_output)
"""
_INSTRUCTOR = """
import instructor
client = instructor.from_provider("openai/gpt-4o")
reply = client.create(response_model=None, messages=[{"role": "user", "content": "x"}])
print(reply.choices[0].message.content)
"""
_PYDANTIC_AI = """
import sys
from pydantic_ai import Agent
print(Agent(sys.argv[1]).run_sync("x").output)
"""
_MISTRAL = """
import os
from mistralai.client import Mistral
with Mistral(api_key=os.environ["MISTRAL_API_KEY"]) as client:
    print(client.chat.complete(model="mistral-large-latest", messages=[{"role": "user", "content": "x"}])
          .choices[0].message.content)
"""
_COHERE = """
import cohere
reply = cohere.ClientV2().chat(model="command-a-03-2025", messages=[{"role": "user", "content": "x"}])
print(reply.message.content[0].text)
"""


def _python(code: str) -> Callable[[], list[str]]:
    return lambda: [sys.executable, "-c", code]


def _gemini() -> list[str]:
    if importlib.util.find_spec("google.genai") is None:
        pytest.skip("google-genai is not installed")
    return [sys.executable, "-W", "ignore", "-c", _GEMINI]


def _more_python(package: str, code: str, *arguments: str) -> Callable[[], list[str]]:
    def command() -> list[str]:
        python = from_pypi("python")
        if not list(python.parent.parent.glob(f"lib/python3*/site-packages/{package}")):
            pytest.skip(f"{package} is not installed: make clients")
        return [str(python), "-W", "ignore", "-c", code, *arguments]

    return command


def _curl() -> list[str]:
    return [on_path("curl", "curl"), "-sS", "https://api.openai.com/v1/chat/completions",
            "-H", f"Authorization: Bearer {KEY}", "-H", "Content-Type: application/json",
            "-d", '{"model":"gpt-4o","messages":[]}']  # fmt: skip


def _java(client: str) -> Callable[[], list[str]]:
    return lambda: [on_path("java", "default-jdk-headless"), str(HERE / "Chat.java"), client]


SDKS = {
    "OpenAI SDK for Python": Case(_python(_CHAT)),
    "Anthropic SDK for Python": Case(_python(_MESSAGES), "messages"),
    "Google Gen AI SDK for Python": Case(_gemini, "generate_content"),
    "OpenAI SDK for Node": Case(lambda: [str(installed("node")), "--input-type=module", "-e", _NODE]),
    "requests": Case(_python(_REQUESTS)),
    "curl": Case(_curl, modes=("forward", "both")),
    "Go": Case(lambda: [on_path("go", "golang-go"), "run", str(HERE / "chat.go")]),
    "Java's HttpClient": Case(_java("HttpClient")),
    "Java's HttpURLConnection": Case(_java("HttpURLConnection")),
    "LiteLLM, OpenAI": Case(_more_python("litellm", _LITELLM, "gpt-4o")),
    "LiteLLM, Anthropic": Case(_more_python("litellm", _LITELLM, "anthropic/claude-sonnet-4-5"), "messages"),
    "LangChain, OpenAI": Case(_more_python("langchain_openai", _LANGCHAIN)),
    "LangChain, Anthropic": Case(_more_python("langchain_anthropic", _LANGCHAIN_ANTHROPIC), "messages"),
    "LangChain, Gemini": Case(_more_python("langchain_google_genai", _LANGCHAIN_GEMINI), "generate_content"),
    "OpenAI Agents SDK": Case(_more_python("agents", _AGENTS), "responses"),
    "Instructor": Case(_more_python("instructor", _INSTRUCTOR)),
    "Pydantic AI, OpenAI": Case(_more_python("pydantic_ai", _PYDANTIC_AI, "openai-chat:gpt-4o")),
    "Pydantic AI, Anthropic": Case(
        _more_python("pydantic_ai", _PYDANTIC_AI, "anthropic:claude-sonnet-4-5"), "messages"
    ),
    "Pydantic AI, Gemini": Case(
        _more_python("pydantic_ai", _PYDANTIC_AI, "google:gemini-2.5-flash"), "generate_content"
    ),
    "Mistral SDK for Python": Case(_more_python("mistralai", _MISTRAL), modes=("forward", "both")),
    "Cohere SDK for Python": Case(_more_python("cohere", _COHERE)),
}
"""By name. Where a client has its address from its program alone, there is no reverse mode to try."""
