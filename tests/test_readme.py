"""The README's promises: its rule loads, its commands exist, its links lead somewhere, its settings are settings."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest
import typer

import connectors
from monitor.cli import app
from monitor.configuration import load_configuration
from monitor.rules.load import load_rules
from monitor.settings.load import load_settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
EMPTY = {"agencies.csv", "accounts.csv"}


def commands() -> set[str]:
    found: set[str] = set()
    group = typer.main.get_command(app)
    for name, one in group.commands.items():  # type: ignore[attr-defined]  # a click group
        found |= {f"{name} {sub}" for sub in getattr(one, "commands", {})} or {name}
    return found


def test_the_sample_rule_loads_and_passes_its_own_tests(tmp_path):
    (sample,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    folder = tmp_path / "mampu-2009"
    folder.mkdir()
    (folder / "instrument.yaml").write_bytes((ROOT / "config/rules/mampu-2009/instrument.yaml").read_bytes())
    (folder / "sample.yaml").write_text(sample)
    assert len(load_rules(tmp_path, today=date(2026, 11, 24)).rules) == 1


def test_the_commands_it_names_exist():
    named = {
        f"{a} {b}".strip()
        for a, b in re.findall(
            r"pantau (?:--config \S+ )?([a-z]+)(?: (import|list|show|test|check|issue|verify))?", README
        )
    }
    named -= {"accounts", "agencies", "posts", "rules", "mail", "alerts", "certificate", "audit", "hold", "silences"}
    words = {name.split()[0] for name in commands()}
    assert {"run", "once", "check", "doctor", "agencies import", "mail test"} <= named
    assert [name for name in named if name.split()[0] in words and name not in commands()] == []


@pytest.mark.parametrize("platform", connectors.CONNECTORS)
def test_its_table_of_platforms_says_what_the_connector_says(platform):
    assert f"| {platform} | {connectors.load(platform).obtain} |" in README


@pytest.mark.parametrize("anchor", sorted(set(re.findall(r"\]\(#([\w-]+)\)", README))))
def test_its_links_lead_to_a_heading(anchor):
    headings = [
        re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-")
        for h in re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    ]
    assert anchor in headings


@pytest.mark.parametrize(
    "file", sorted(set(re.findall(r"`((?:connectors|monitor|alerts|tests|config)/[\w/.-]+)`", README)))
)
def test_the_files_it_names_are_there(file):
    assert (ROOT / file).exists()


def test_its_settings_are_settings(tmp_path):
    block = "".join(re.findall(r"```toml\n(.*?)```", README, re.DOTALL))
    (tmp_path / "secrets").mkdir()
    for name in re.findall(r'_file = "secrets/([\w-]+)"', block):
        (tmp_path / "secrets" / name).write_text("kata")
    (tmp_path / "pantau.toml").write_text(block)
    assert tomllib.loads(block)["mail"]["host"] == load_settings(tmp_path, {}).mail.host


def test_every_line_of_the_default_configuration_is_a_setting_also_when_it_is_uncommented(tmp_path):
    text = (ROOT / "config/pantau.toml").read_text()
    (tmp_path / "secrets").mkdir()
    for name in re.findall(r'_file = "secrets/([\w-]+)"', text):
        (tmp_path / "secrets" / name).write_text("https://key@127.0.0.1/1")
    (tmp_path / "ca.pem").touch()
    (tmp_path / "pantau.toml").write_text(re.sub(r"^# (?=[a-z_]+ = )", "", text, flags=re.MULTILINE))
    settings = load_settings(tmp_path, {})
    assert settings.mail.host == "smtp.agensi.gov.my"
    limits = {"monthly_posts": 100_000, "monthly_budget": 500}
    assert settings.connectors["x"] == {"bearer_token_file": "secrets/x", **limits}


def test_the_shipped_configuration_is_right_and_its_register_empty():
    configuration = load_configuration(ROOT / "config", {}, today=date(2026, 11, 24))
    assert (configuration.agencies, configuration.accounts) == ((), ())
    assert {path.name for path in (ROOT / "config/register").iterdir()} == EMPTY
