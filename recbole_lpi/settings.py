"""Settings are read once, into frozen dataclasses whose fields are the settings' names."""

from __future__ import annotations

import difflib
import logging
import math
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from typing import (
    Annotated,
    Any,
    Literal,
    Protocol,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from recbole_lpi.roles import name_of
from recbole_lpi.text import visible

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class SettingError(ValueError):
    """A setting, or the data it points to, is wrong: one line that names it and the cure.

    What it quotes of files and servers is escaped, so that it can be printed.
    """

    def __init__(self, message: object) -> None:
        super().__init__(visible(message))


@contextmanager
def refused(what: str) -> Iterator[None]:
    """Turn what RecBole, torch, numpy, pandas or polars raise inside into a SettingError.

    For work that fails on what was given. Errors of the system, which name their file, stay.
    """
    try:
        yield
    except (SettingError, OSError, ImportError, MemoryError):
        raise
    except Exception as error:
        logging.getLogger().debug(what, exc_info=error)
        said = next((line for line in str(error).splitlines() if line.strip()), "no reason given")
        raise SettingError(f"{what}: {type(error).__name__}: {said.strip()}") from None


def brief(function: F) -> F:
    """Wrap ``function`` so that its SettingError comes without the frames that led to it."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except SettingError as error:
            raise error.with_traceback(None) from None

    return call  # type: ignore[return-value]


class Config(Protocol):
    """A mapping that gives None for what it does not know, as RecBole's ``Config`` does."""

    def __getitem__(self, key: str) -> Any: ...


class Values(dict[str, Any]):
    """A dictionary that gives None for what it lacks, as RecBole's ``Config`` does."""

    def __missing__(self, key: str) -> None:
        return None


def read(cls: type[T], config: Config) -> T:
    """Fill the dataclass ``cls`` from ``config``, each field by the name that users give it.

    What is None in the config takes the field's default. Raises SettingError for a value of the
    wrong type, or one the dataclass refuses.
    """
    hints = get_type_hints(cls, include_extras=True)
    values: dict[str, Any] = {}
    for field in fields(cls):  # type: ignore[arg-type]
        key = name_of(field)
        value = config[key]
        if value is None and field.default is not MISSING:
            value = field.default
        elif value is None and field.default_factory is not MISSING:
            value = field.default_factory()
        values[field.name] = coerce(key, value, hints[field.name])
    try:
        return cls(**values)
    except ValueError as error:
        raise SettingError(str(error)) from None


def coerce(key: str, value: Any, hint: Any) -> Any:
    """Return ``value`` as the type of a field, or SettingError. Lists become tuples, 1 a float.

    Of type ``Any`` is what a run folder keeps: plain values, lists and mappings from text to them.
    A mapping becomes the dataclass it is to be, as ``read`` does. ``Annotated[kind, "example"]`` is
    a ``kind`` whose error shows the example; a union is of words, by ``Literal``, and one kind.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _one_of(key, value, arguments)
    if origin is Annotated:
        return _as_in_example(key, value, *arguments)
    if hint is Any:
        if isinstance(value, Mapping):
            return coerce(key, value, dict[str, Any])
        if isinstance(value, (list, tuple)):
            return [coerce(key, v, Any) for v in value]
        if type(value) in (type(None), bool, int, float, str):
            return value
    elif origin is Literal:
        if value in arguments and isinstance(value, str):
            return value
    elif origin is list:
        if isinstance(value, (list, tuple)):
            return [coerce(key, v, arguments[0]) for v in value]
    elif origin is tuple:
        values = value if isinstance(value, (list, tuple)) else [value]
        kinds = arguments[:1] * len(values) if arguments[-1] is ... else arguments
        if value is not None and len(kinds) == len(values):
            return tuple(coerce(key, v, k) for v, k in zip(values, kinds, strict=True))
    elif origin is dict and isinstance(value, Mapping):
        of_key, of_value = arguments
        return {
            coerce(key, k, of_key): coerce(f"{key}: {k}", v, of_value) for k, v in value.items()
        }
    elif is_dataclass(hint) and isinstance(value, Mapping):
        return _within(key, value, hint)
    elif hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        if math.isnan(value):
            raise SettingError(f"{key} must be a number, got {value!r}")
        return float(value)
    elif hint is int and isinstance(value, bool):
        pass  # true is a whole number to Python only
    elif isinstance(hint, type) and isinstance(value, hint):
        return value
    raise SettingError(f"{key} must be {_spelled(hint)}, got {value!r}{_space_missing(value)}")


def _one_of(key: str, value: Any, kinds: tuple[Any, ...]) -> Any:
    """Return ``value`` as None or a word, where the union has it; else as the union's last kind."""
    if value is None and type(None) in kinds:
        return None
    *others, hint = (kind for kind in kinds if kind is not type(None))
    if any(isinstance(value, str) and value in get_args(word) for word in others):
        return value
    return coerce(key, value, hint)


def _as_in_example(key: str, value: Any, kind: Any, example: str) -> Any:
    """Return ``value`` as a ``kind``; where a mapping is missing, the error shows the example."""
    if get_origin(kind) is dict and not isinstance(value, Mapping):
        said = f"{key} must be a mapping such as {example}, got {value!r}"
        raise SettingError(said + _space_missing(value))
    return coerce(key, value, kind)


def _within(key: str, value: Mapping[str, Any], cls: Any) -> Any:
    """Read a mapping as the dataclass ``cls``; its errors begin with ``key``."""
    known = {field.name: None for field in fields(cls)}
    for name in value:
        if name not in known:
            near = suggest(str(name), known)
            hint = f"did you mean {near}?" if near else f"known: {', '.join(known)}"
            if ":" in str(name):  # YAML takes {rank:5} for a name without a value
                hint = f"write {key}={{{str(name).replace(':', ': ')}}}, with a space"
            raise SettingError(f"{key}: unknown setting '{name}'; {hint}")
    try:
        return read(cls, {**known, **value})
    except SettingError as error:
        raise SettingError(f"{key}: {error}") from None


def _space_missing(value: Any) -> str:
    """Give a hint at ``inter:[...]``, which YAML takes for text."""
    found = re.match(r"(\w+):\S", value) if isinstance(value, str) else None
    return f"; write '{found[1]}: ', with a space after the colon" if found else ""


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the nearest of ``known``, quoted, or nothing."""
    by_lower = {other.lower(): other for other in known}
    near = difflib.get_close_matches(name.lower(), by_lower, 2, 0.6)
    return " or ".join(f"'{by_lower[n]}'" for n in near)


def _spelled(hint: Any) -> str:
    if hint is Any:
        return "made of text, numbers, true, false, lists and mappings"
    words = {float: "a number", int: "a whole number", str: "text", bool: "true or false"}
    if hint in words:
        return words[hint]
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    if is_dataclass(hint):
        return f"a mapping such as {getattr(hint, 'EXAMPLE', '') or _names_of(hint)}"
    if get_origin(hint) is list:
        return "a list"
    if get_origin(hint) is not tuple:
        return "a mapping"
    of = get_args(hint)
    return "a list" if of[-1] is ... else f"a list of {len(of)}"


def _names_of(cls: Any) -> str:
    return "{" + ", ".join(f"{field.name}: …" for field in fields(cls)) + "}"
