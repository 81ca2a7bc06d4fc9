"""config.yaml → Settings. All problems at once, each by its path, with the remedy; no value is echoed."""

import os
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from settings.schema import Settings
from settings.secrets import Secret


class SettingsProblems(Exception):  # noqa: N818 - several problems, named as what they are
    """The settings cannot be used. `str()` is the whole answer for the person who wrote them."""

    def __init__(self, source: str, problems: list[str]) -> None:
        self.source = source
        self.problems = problems
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        super().__init__("\n".join([f"{source} cannot be used: {count}", *(f"  {p}" for p in problems)]))


def settings_path(given: Path | None) -> Path:
    """The settings file: what was given, else $SEKISHO_CONFIG, else config.yaml here."""
    return given or Path(os.environ.get("SEKISHO_CONFIG") or "config.yaml")


def read_settings(path: Path, *, secrets: bool = True) -> Settings:
    """The settings in this file. Relative paths in it are relative to the working directory. Whoever only looks at the
    record needs no `secrets`, and mostly has none: without, nobody asks whether they can be read.

    Raises:
        SettingsProblems: the file cannot be read, or something in it cannot be used.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsProblems(
            str(path), ["the file does not exist. Name one with --config or $SEKISHO_CONFIG"]
        ) from None
    except (OSError, UnicodeDecodeError) as cannot:
        raise SettingsProblems(str(path), [f"the file cannot be read: {cannot}"]) from None
    return parse_settings(text, source=str(path), secrets=secrets)


def parse_settings(text: str, *, source: str = "settings", secrets: bool = True) -> Settings:
    """The settings written in this YAML text. `secrets` as for `read_settings`.

    Raises:
        SettingsProblems: something in it cannot be used.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.allow_duplicate_keys = False
    try:
        tree = yaml.load(text)
    except YAMLError as broken:
        raise SettingsProblems(source, [_yaml_problem(broken)]) from None
    except RecursionError:
        raise SettingsProblems(source, ["it is nested too deeply to be read"]) from None
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise SettingsProblems(source, ["it must be a list of settings, each as `name: value`"])
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as invalid:
        problems = [line for error in invalid.errors() for line in _problem(error)]
        raise SettingsProblems(source, list(dict.fromkeys(problems))) from None
    if secrets and (problems := lacking(settings)):
        raise SettingsProblems(source, problems)
    return settings


def lacking(settings: Settings) -> list[str]:
    """What is named but cannot be had on this machine (secrets that cannot be read), each by its path."""
    said = [f"providers.{name}.{why}" for name, provider in settings.providers.items() for why in provider.problems()]
    proxy = settings.upstream_proxy
    if proxy is not None and proxy.password is not None and (why := proxy.password.problem()):
        said.append(f"upstream_proxy.password {why}")
    for i, issuer in enumerate(settings.identity.issuers):
        said += [
            f"identity.issuers[{i}].{name} {why}"
            for name, secret in issuer
            if isinstance(secret, Secret) and (why := secret.problem())
        ]
    secret = settings.sign_in.client_secret if settings.sign_in is not None else None
    if secret is not None and (why := secret.problem()):
        said.append(f"sign_in.client_secret {why}")
    return said


def _yaml_problem(broken: YAMLError) -> str:
    mark = getattr(broken, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    what = getattr(broken, "problem", None) or "this is not YAML"
    return f"{where}{' '.join(str(what).split())}"


_SENTENCES = {
    "missing": "is missing",
    "extra_forbidden": "is no setting. Take it out, or look for its right name in config.yaml",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "string_type": "must be text",
    "tuple_type": "must be a list, as in [a, b]",
    "dict_type": "must hold settings of its own, as `name: value`",
    "model_type": "must hold settings of its own, as `name: value`",
    "model_attributes_type": "must hold settings of its own, as `name: value`",
}


def _problem(error: ErrorDetails) -> list[str]:
    """One of pydantic's errors in our words: path, what is wrong, what to do."""
    path = _path(error["loc"])
    kind = error["type"]
    if kind == "value_error":
        said = str(error.get("ctx", {}).get("error", error["msg"]))
        return [f"{path} {said}"] if path else said.split("\n")
    said = _SENTENCES.get(kind) or error["msg"][0].lower() + error["msg"][1:]
    return [f"{path} {said}".strip()]


def _path(loc: tuple[int | str, ...]) -> str:
    written = ""
    for step in loc:
        if isinstance(step, int):
            written += f"[{step}]"
        elif "[" in step or step in _UNION_MEMBERS:
            continue  # pydantic names the member of a union it tried; the reader knows only the setting
        else:
            written += f".{step}" if written else step
    return written


_UNION_MEMBERS = {"int", "literal", "constrained-int"}
