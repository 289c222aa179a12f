"""The settings reference, from the dataclasses of settings: ``python docs/settings_page.py``.

Writes docs/settings-reference.md: what each setting decides, its default, and what its dataclass
says of it. A test fails where the page in the tree differs from this.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from recbole_lpi.plugin.properties import properties_folder
from recbole_lpi.plugin.setting_names import SETTINGS, known
from recbole_lpi.roles import Role, name_of, role_of
from recbole_lpi.text import markdown
from recbole_lpi.yaml_values import read_file

PAGE = Path(__file__).with_name("settings-reference.md")
ENTRY = re.compile(r"(?:^|(?<=[.;] ))((?:\w+, )*\w+): ")
OF_RECBOLE = "as in RecBole"
HEAD = """# Settings reference

Every setting of a run that this package reads, by what it decides. `docs/settings_page.py` writes
the page from the dataclasses that read them. [Settings](settings.md) says where a setting may be
given and which source wins; `properties/policy.yaml` holds the defaults with their source. What
RecBole alone reads is in
[its own documentation](https://recbole.io/docs/user_guide/config_settings.html).
"""


def page() -> str:
    """Return the page in Markdown."""
    shared, models = _defaults()
    by_role: dict[Role, list[str]] = {}
    seen: set[str] = set()
    for owner in SETTINGS:
        told = attributes(owner)
        for field in fields(owner):
            name = name_of(field)
            if name in seen or role_of(owner, field) is Role.DERIVED:
                continue
            seen.add(name)
            if name in shared:
                default = _spelled(shared[name])
            elif field.default is not MISSING:
                default = _spelled(field.default)
            else:
                default = "–"
            others = {m: own[name] for m, own in models.items() if name in own}
            also = "; ".join(f"{model}: {_spelled(value)}" for model, value in others.items())
            row = f"| `{name}` | {default} | {told.get(field.name, OF_RECBOLE)} | {also} |"
            by_role.setdefault(known()[name].role, []).append(row)
    parts = [HEAD]
    for role in Role:
        if role in by_role:
            parts.append(f"## {role.value[0].upper()}{role.value[1:]}\n")
            parts.append("| setting | default | what it is | other defaults |\n| - | - | - | - |")
            parts.append("\n".join(by_role[role]) + "\n")
    return "\n".join(parts)


def attributes(owner: type[Any]) -> dict[str, str]:
    """Return what the docstring of a dataclass says of each of its fields, in Markdown."""
    block = inspect.cleandoc(owner.__doc__ or "").partition("Attributes:\n")[2]
    told: dict[str, str] = {}
    for entry in re.split(r"\n    (?=\S)", "\n" + block)[1:]:
        text = " ".join(line.strip() for line in entry.splitlines())
        pieces = ENTRY.split(text)[1:]
        for names, said in zip(pieces[::2], pieces[1::2], strict=True):
            words = re.sub(r"``(.*?)``", r"`\1`", said.strip().rstrip(";."))
            for name in names.split(", "):
                told[name] = words.replace("|", "\\|")
    return told


def _defaults() -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the defaults of all policies, and by model those of its own."""
    folder = properties_folder()
    models = {
        path.stem: read_file(path) or {}
        for path in sorted(folder.glob("*.yaml"))
        if path.stem not in ("policy", "recbole")
    }
    return read_file(folder / "policy.yaml") or {}, models


def _spelled(value: Any) -> str:
    """A value as it is written in YAML."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_spelled(one) for one in value)}]"
    if isinstance(value, dict):
        pairs = ", ".join(f"{key}: {_spelled(one)}" for key, one in value.items())
        return "{" + pairs + "}"
    return markdown(value)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
