"""Settings: layers, sources, and one error that says everything."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.cli.settings import reference
from streams.layered import sections_of
from streams.settings import PREFIX, Settings, SettingsError, load, variable
from streams.told import as_environment, entries
from tests.conftest import REPOSITORY


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    """A settings file to write into."""
    return tmp_path / "settings.toml"


def problems_of(toml: Path | None, environ: dict[str, str]) -> list[str]:
    """What load has to say, with the file's path left out."""
    with pytest.raises(SettingsError) as refused:
        load(toml, environ)
    return [problem.removeprefix(f"{toml}: ") for problem in refused.value.problems]


def test_nothing_said_means_the_defaults() -> None:
    """No file and no variable: every section as its class says."""
    assert load(None, {"PATH": "/bin", "HOME": "/"}) == Settings()


def test_the_environment_wins_over_the_file_and_the_file_over_the_defaults(toml: Path) -> None:
    """Three layers, the last one wins, and each value knows where it came from."""
    toml.write_text("[kafka]\npartitions = 8\nreplication_factor = 3\n")
    environ = {"THROUGHLINE_KAFKA_PARTITIONS": "16"}
    sources = {f"{e.section}.{e.key}": (e.value, e.source) for e in entries(toml, environ)}
    assert sources["kafka.partitions"] == (16, "THROUGHLINE_KAFKA_PARTITIONS")
    assert sources["kafka.replication_factor"] == (3, f"{toml}: kafka.replication_factor")
    assert sources["kafka.max_record_bytes"] == (983_040, "default")


def test_another_process_is_told_the_same(toml: Path) -> None:
    """Whatever the file says reaches what is started, lists and numbers by name too; defaults are not spelled out."""
    toml.write_text(
        "[kafka]\npartitions = 8\n[sessions]\ngaps_s = { web = 900 }\n"
        "[carts]\nreminders_s = [86400, 259200]\nleftovers = 'keep'\n[actions]\nchannels = []\n"
    )
    settings = load(toml, {})
    told = as_environment(settings)
    assert load(None, told) == settings
    assert len(told) == 5
    assert as_environment(Settings()) == {}


def test_every_problem_is_said_at_once_with_its_source_and_a_hint(toml: Path) -> None:
    """One error names all that is wrong, what is allowed, and what was probably meant."""
    toml.write_text(
        '[worker]\nclok = "live"\nbatch_records = 0\n'
        "[sesions]\ngap_s = 1\n[sessions.gaps_s]\nwbe = 4\n"
        '[actions]\nchannels = ["email", "email"]\n'
    )
    environ = {
        "THROUGHLINE_KAFKA_PARTITONS": "3",
        "THROUGHLINE_WORKER_CLOCK": "lve",
        "THROUGHLINE_SINK_CHUNK_S": "nan",
    }
    found = problems_of(toml, environ)
    assert found[:3] == [
        "worker.clok: is unknown, did you mean clock?",
        "[sesions] is unknown, did you mean sessions?",
        "THROUGHLINE_KAFKA_PARTITONS: is unknown, did you mean THROUGHLINE_KAFKA_PARTITIONS?",
    ]
    assert found[3:5] == [
        "THROUGHLINE_WORKER_CLOCK: 'lve' is not allowed, did you mean live?; it must be one of live, replay",
        "worker.batch_records: 0 is not allowed; it must be a whole number, at least 1, at most 100,000",
    ]
    assert found[5].startswith(
        "sessions.gaps_s: 'wbe' is no channel, did you mean web?; channels are web, app,"
    )
    assert found[6:] == [
        "actions.channels: each name once, but email stands there more than once",
        "THROUGHLINE_SINK_CHUNK_S: 'nan' is not allowed; it must be a number, more than 0, at most 3,600",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("app = 3\n", "app must be a table, [app]"),
        ("app = \n", "is no TOML: Invalid value (at line 1, column 7)"),
    ],
)
def test_a_file_that_makes_no_sense_is_named(toml: Path, text: str, said: str) -> None:
    """A broken file is one problem among others, never a traceback."""
    toml.write_text(text)
    assert problems_of(toml, {}) == [said]


def test_a_file_that_is_not_there_is_named(toml: Path) -> None:
    """A settings file that was asked for must exist: silence would mean the defaults."""
    assert problems_of(toml, {}) == ["cannot be read: No such file or directory"]


@pytest.mark.parametrize("text", ["web=900,app=60", '{"web": 900, "app": 60}', " web = 900 , app = 60 "])
def test_the_environment_spells_tables(text: str) -> None:
    """A table fits into one variable, by hand or as JSON."""
    assert load(None, {"THROUGHLINE_SESSIONS_GAPS_S": text}).sessions.gaps_s == {"web": 900, "app": 60}


def test_memory_of_the_warehouse_is_enough_or_its_own_choice(toml: Path) -> None:
    """Less than it can work with is a mistake; 0 leaves it to the warehouse."""
    assert load(None, {"THROUGHLINE_WAREHOUSE_MEMORY_MB": "256"}).warehouse.memory_mb == 256
    toml.write_text("[warehouse]\nmemory_mb = 200\n")
    assert problems_of(toml, {}) == ["warehouse.memory_mb: the warehouse needs 256 MB or more"]


@pytest.mark.parametrize("text", ["sms,email", '["sms", "email"]', "sms, email,"])
def test_the_environment_spells_lists(text: str) -> None:
    """A list fits into one variable, by hand or as JSON, and keeps its order."""
    assert load(None, {"THROUGHLINE_ACTIONS_CHANNELS": text}).actions.channels == ("sms", "email")


def test_an_empty_list_in_the_environment_is_one() -> None:
    """`[]` says that there are none, as it does in a file. Seen to fail when what is empty counted as no JSON."""
    assert load(None, {"THROUGHLINE_WEBHOOK_ENDPOINTS": "[]"}).webhook.endpoints == ()


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        (
            "DEFAULT_REGION",
            "UK",
            "'UK' is no region, did you mean GB?; write two capital letters of ISO 3166",
        ),
        ("DEFAULT_REGION", "de", "'de' is no region, did you mean DE?"),
        (
            "DROP_PLUS_TAGS",
            "ann@gmail.com",
            "'ann@gmail.com' is no domain; write it like gmail.com, or * alone",
        ),
        ("BLOCKED", "till,emial:x@*", "'emial:x@*': 'emial' is no identifier type; write type:value"),
        (
            "BLOCKED",
            "email:*",
            "'email:*' blocks everybody; to do without a type, take it out of identity.ranks",
        ),
    ],
)
def test_what_would_identify_wrongly_is_refused(key: str, text: str, said: str) -> None:
    """A rule of identity that does nothing, or too much, is found when it is read; the line says what to write."""
    (problem,) = problems_of(None, {f"THROUGHLINE_IDENTITY_{key}": text})
    assert problem.startswith(f"THROUGHLINE_IDENTITY_{key}: {said}")


ENDPOINT = """
[[webhook.endpoints]]
name = "crm"
url = "https://crm.example/actions"
secrets = ["env:CRM_SECRET", "file:/run/secrets/crm"]
triggers = ["abandoned_cart"]
"""


def test_a_table_a_receiver(toml: Path) -> None:
    """Endpoints are tables in the file and JSON in a variable; another process is told the same."""
    toml.write_text(ENDPOINT + ENDPOINT.replace("crm", "sms"))
    settings = load(toml, {})
    assert [each.name for each in settings.webhook.endpoints] == ["crm", "sms"]
    assert load(None, as_environment(settings)) == settings
    (entry,) = [each for each in entries(toml, {}) if each.key == "endpoints"]
    assert (entry.source, entry.allowed) == (f"{toml}: webhook.endpoints", "a list of tables")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"crm"', '"c r m"', ".0.name: 'c r m' is not allowed; it must be text like 'crm'"),
        ('name = "crm"', "", ".0.name: is missing"),
        ('url = "', 'ulr = "', ".0.url: is missing|.0.ulr: is unknown, did you mean url?"),
        ("https", "http", ".0.url: must begin with https://; http:// is for this machine alone (127.0.0.1, localhost)"),
        ("//crm", "//me:hunter2@crm", ".0.url: must hold no user or password: the signature says who sends"),
        ("https://crm.example/actions", "crm", ".0.url: must be an address like https://crm.example/actions"),
        ("env:CRM_SECRET", "hunter2", ".0.secrets: number 1 is neither env:NAME nor file:PATH; a secret itself never "
         "stands here"),
        ('["env:CRM_SECRET", "file:/run/secrets/crm"]', '"hunter2"',
         ".0.secrets: what it says is not allowed; it must be a list of names"),
        ('["env:CRM_SECRET", "file:/run/secrets/crm"]', "[]",
         ".0.secrets: what it says is not allowed; it must be a list of names"),
        ("abandoned_cart", "abandoned_card",
         ".0.triggers: 'abandoned_card' is no trigger, did you mean abandoned_cart?; triggers are "
         "abandoned_cart, abandoned_checkout, payment_failed, abandoned_browse"),
        ('name = "crm"', 'name = "crm"\nconcurrency = 0',
         ".0.concurrency: 0 is not allowed; it must be a whole number, at least 1, at most 256"),
        ('name = "crm"', 'name = "crm"\nrecovered = 7', ".0.recovered: 7 is not allowed; it must be true or false"),
    ],
)  # fmt: skip
def test_a_wrong_endpoint_says_which_key_and_what_to_write(toml: Path, old: str, new: str, said: str) -> None:
    """Each problem with the place in the list; what may be a secret is never repeated."""
    toml.write_text(ENDPOINT.replace(old, new))
    assert problems_of(toml, {}) == [f"webhook.endpoints{each}" for each in said.split("|")]


def test_two_endpoints_never_share_a_name(toml: Path) -> None:
    """They would share a consumer group, and each hear half."""
    toml.write_text(ENDPOINT * 2)
    assert problems_of(toml, {}) == ["webhook.endpoints: each name once, but crm stands there more than once"]


def test_blocked_values_are_of_ranked_types() -> None:
    """Types are those of the same settings."""
    environ = {"THROUGHLINE_IDENTITY_RANKS": "card,email", "THROUGHLINE_IDENTITY_BLOCKED": "card:7,till"}
    assert load(None, environ).identity.blocked == ("card:7", "till")
    (problem,) = problems_of(None, environ | {"THROUGHLINE_IDENTITY_RANKS": "Card,email"})
    assert problem.startswith("THROUGHLINE_IDENTITY_RANKS.0: 'Card' is not allowed")


def test_our_own_names_that_are_no_settings_are_let_be() -> None:
    """Where the file is, and what tests need, share the prefix without being settings."""
    assert load(None, {"THROUGHLINE_SETTINGS": "x.toml", "THROUGHLINE_REQUIRE": "kafka"}) == Settings()


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=3))
def test_no_variable_of_ours_is_ever_overlooked(names: dict[str, str]) -> None:
    """A name with our prefix is a setting, or is refused by name: a misspelt one never does nothing."""
    environ = {f"{PREFIX}KAFKA_{name}": value for name, value in names.items()}
    known = {variable("kafka", key) for key in sections_of(Settings)["kafka"].model_fields}
    strange = sorted(environ.keys() - known)
    if strange:
        assert [problem.split(": is unknown")[0] for problem in problems_of(None, environ)] == strange


def test_every_setting_says_what_it_means() -> None:
    """Descriptions are sentences, and no setting goes without."""
    silent = [f"{e.section}.{e.key}" for e in entries(None, {}) if not e.description.endswith((".", "`."))]
    assert silent == []


def test_the_reference_file_is_the_settings() -> None:
    """deploy/throughline.toml is what `throughline settings --toml` prints: each default and its meaning."""
    path = REPOSITORY / "deploy" / "throughline.toml"
    assert path.read_text() == reference(entries(None, {}))
    assert load(path, {}) == Settings()
    assert tomllib.loads(path.read_text()).keys() == sections_of(Settings).keys()


def test_settings_are_frozen() -> None:
    """Nobody changes a setting after it was read."""
    with pytest.raises(ValueError, match="frozen"):
        load(None, {}).kafka.partitions = 5
