"""What each client reads from its environment, and why it has to be said.

Which variables a client reads is from its own documentation or source; what was tried is in docs/how-to/clients.md.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from certificates.bundle import JAVA_PASSWORD
from cli.clients.road import LOOPBACK, Road

Mode = Literal["reverse", "forward", "transparent"]
"""transparent: the network brings the connections, so no proxy is named; the CA must be trusted all the same."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One line of an environment."""

    name: str
    value: str
    why: str


@dataclass(frozen=True, slots=True)
class Client:
    """A program or a family of them. The notes are said where variables do not do all."""

    what: str
    reverse: tuple[str, ...]
    forward: tuple[str, ...]
    forward_note: str | None = None
    reverse_note: str | None = None


type Value = Callable[[Road], str | None]


def _ours(road: Road) -> str | None:
    return str(road.files.ours) if road.files else None


def _bundle(road: Road) -> str | None:
    return str(road.files.bundle) if road.files else None


def _java(road: Road) -> str | None:
    if road.files is None:
        return None
    options = {
        "javax.net.ssl.trustStore": road.files.java,
        "javax.net.ssl.trustStoreType": "PKCS12",
        "javax.net.ssl.trustStorePassword": JAVA_PASSWORD,
    }
    if road.proxy is not None:
        proxy = urlsplit(road.proxy)
        options |= {
            "https.proxyHost": proxy.hostname,
            "https.proxyPort": proxy.port,
            "http.nonProxyHosts": "localhost|127.*|[::1]",
        }
        if proxy.password is not None:
            # Java shows no Basic credentials to a proxy for https by itself, whatever a program's Authenticator says.
            options["jdk.http.auth.tunneling.disabledSchemes"] = ""
    return " ".join(
        f'"-D{name}={value}"' if " " in str(value) else f"-D{name}={value}" for name, value in options.items()
    )


def _proxy(road: Road) -> str | None:
    return road.proxy


def _past_the_proxy(road: Road) -> str | None:
    return LOOPBACK if road.proxy else None


def _heed_the_proxy(road: Road) -> str | None:
    return "1" if road.proxy else None


VALUES: Final[dict[str, tuple[Value, str]]] = {
    "OPENAI_BASE_URL": (lambda road: road.base("openai", "/v1"), "the OpenAI SDKs, and what is built on them"),
    "OPENAI_API_BASE": (
        lambda road: road.base("openai", "/v1"),
        "its older name, for older LiteLLM, aider and LangChain",
    ),
    "ANTHROPIC_BASE_URL": (lambda road: road.base("anthropic"), "the Anthropic SDKs and Claude Code"),
    "ANTHROPIC_API_BASE": (lambda road: road.base("anthropic"), "its older name, for older LiteLLM and aider"),
    "GOOGLE_GEMINI_BASE_URL": (lambda road: road.base("gemini"), "Google's Gen AI SDKs and Gemini CLI"),
    "CO_API_URL": (lambda road: road.base("cohere"), "Cohere's SDKs"),
    "HTTPS_PROXY": (_proxy, "where TLS connections go: through the checkpoint"),
    "https_proxy": (_proxy, "the same for those that read small letters"),
    "NO_PROXY": (_past_the_proxy, "this machine's own services are reached directly"),
    "no_proxy": (_past_the_proxy, "the same for those that read small letters"),
    "NODE_USE_ENV_PROXY": (_heed_the_proxy, "Node's own fetch and https heed HTTPS_PROXY (Node 22.21, 24.5 and later)"),
    "NODE_EXTRA_CA_CERTS": (_ours, "Node trusts this besides its own list"),
    "SSL_CERT_FILE": (_bundle, "OpenSSL, Python's ssl, httpx, Go and Rust trust this in place of the system's"),
    "REQUESTS_CA_BUNDLE": (_bundle, "Python's requests brings a list of its own"),
    "CURL_CA_BUNDLE": (_bundle, "curl"),
    "GIT_SSL_CAINFO": (_bundle, "git"),
    "CODEX_CA_CERTIFICATE": (_ours, "Codex CLI trusts this besides the system's list"),
    "AWS_CA_BUNDLE": (_bundle, "the AWS SDKs, for Bedrock"),
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": (_bundle, "gRPC brings a list of its own"),
    "JAVA_TOOL_OPTIONS": (_java, "Java has a trust store and proxy settings of its own"),
}
"""Every variable: what it is set to on a road, and why."""

_ROAD: Final = ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")
_BASES: Final = ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "CO_API_URL")
_NODE: Final = (*_ROAD, "NODE_USE_ENV_PROXY", "NODE_EXTRA_CA_CERTS")
_PYTHON: Final = (*_ROAD, "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")

CLIENTS: Final[dict[str, Client]] = {
    "python": Client("Python: the official SDKs, httpx, requests", _BASES, _PYTHON),
    "node": Client(
        "Node: the official SDKs, fetch",
        _BASES,
        _NODE,
        forward_note="Node before 22.21 heeds no HTTPS_PROXY by itself: use the reverse mode there.",
    ),
    "go": Client(
        "Go: the official SDKs, net/http",
        _BASES,
        (*_ROAD, "SSL_CERT_FILE"),
        forward_note="On macOS Go asks the keychain, not SSL_CERT_FILE: sekisho ca install.",
    ),
    "java": Client(
        "Java: the official SDKs, HttpClient",
        _BASES,
        ("JAVA_TOOL_OPTIONS",),
        forward_note="Its options carry no token. Where the proxy asks who calls, the program sets an Authenticator, "
        "or comes by the reverse mode. Java speaks no TLS to a proxy.",
        reverse_note="HttpClient asks a plain http:// address for HTTP/2, which a gateway refuses: "
        "version(HTTP_1_1) when it is built, or a listener with TLS.",
    ),
    "curl": Client("curl", (), (*_ROAD, "CURL_CA_BUNDLE"), reverse_note="curl is given the address itself."),
    "git": Client("git", (), (*_ROAD, "GIT_SSL_CAINFO"), reverse_note="git calls no LLM: forward mode only."),
    "codex": Client(
        "Codex CLI",
        ("OPENAI_BASE_URL",),
        (*_ROAD, "CODEX_CA_CERTIFICATE", "SSL_CERT_FILE"),
        reverse_note="Codex takes its address from its settings: codex -c openai_base_url=$OPENAI_BASE_URL",
    ),
    "claude": Client("Claude Code", ("ANTHROPIC_BASE_URL",), (*_ROAD, "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE")),
    "gemini": Client(
        "Gemini CLI",
        ("GOOGLE_GEMINI_BASE_URL",),
        _NODE,
        reverse_note="With an address, and no way of signing in chosen, it ends with `Invalid auth method selected`: "
        'choose the API key once, or write {"security": {"auth": {"selectedType": "gemini-api-key"}}} to '
        "~/.gemini/settings.json.",
    ),
    "qwen": Client(
        "Qwen Code",
        ("OPENAI_BASE_URL",),
        _NODE,
        forward_note="Without OPENAI_BASE_URL it calls dashscope.aliyuncs.com, which has to be a provider to be read.",
    ),
    "opencode": Client("opencode", _BASES, _NODE),
    "vscode": Client(
        "VS Code and its extensions",
        (),
        _NODE,
        forward_note="Start it from this terminal (`code .`) with no window open, or set its http.proxy. The CA goes "
        "into the system's store and, on Linux, Chromium's: sekisho ca install.",
        reverse_note="Extensions have settings of their own for the address.",
    ),
    "aider": Client("aider", ("OPENAI_API_BASE", "ANTHROPIC_API_BASE", *_BASES), _PYTHON),
    "llm": Client("llm", _BASES, _PYTHON),
    "litellm": Client("LiteLLM", ("OPENAI_API_BASE", "ANTHROPIC_API_BASE", *_BASES), _PYTHON),
    "langchain": Client("LangChain", ("OPENAI_API_BASE", *_BASES), _PYTHON),
    "docker": Client(
        "Docker and Kubernetes",
        _BASES,
        tuple(dict.fromkeys([*_PYTHON, *_NODE, "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"])),
        forward_note="In a container 127.0.0.1 is the container: write the host's name, mount the files named here "
        "(docker run -v FILE:FILE:ro, a ConfigMap), and pass the variables with -e or env.",
    ),
}
"""Every client, by the name it is asked for with."""


def variables(road: Road, mode: Mode, clients: Iterable[str]) -> list[Variable]:
    """What these clients read, each variable once, in the order of the table. What the road cannot give is left out."""
    asked = [CLIENTS[client] for client in clients]
    wanted = {name for each in asked for name in (each.reverse if mode == "reverse" else each.forward)}
    found = []
    for name, (value, why) in VALUES.items():
        if name in wanted and (given := value(road)) is not None:
            found.append(Variable(name, given, why))
    return found


def notes(mode: Mode, clients: Iterable[str]) -> list[str]:
    """What these clients need besides variables."""
    asked = [CLIENTS[client] for client in clients]
    said = [
        f"{each.what}: {note}"
        for each in asked
        if (note := each.reverse_note if mode == "reverse" else each.forward_note) is not None
    ]
    return list(dict.fromkeys(said))
