"""Settings: where they come from, and what stops the start."""

import os
import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

import config
from config import SettingsInvalid, load, shown
from tests.conftest import Override


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A settings file of the test's own, which begins as a copy of the product's."""
    path = tmp_path / "config.toml"
    path.write_text((config.ROOT / "config.toml").read_text())
    monkeypatch.setenv("PUNKTUAL_CONFIG", str(path))
    for name in ("DATABASE_URL", "BROKER_URL", "DATA_DIR", "SECRET_KEY"):
        monkeypatch.delenv(f"PUNKTUAL_{name}", raising=False)
    return path


class TestTheDefaults:
    def test_are_the_embedded_ones(self, file: Path) -> None:
        settings = load()

        assert settings.database.embedded
        assert settings.broker.embedded
        assert settings.var == config.ROOT / "var"

    def test_each_has_its_reason_beside_it(self) -> None:
        lines = (config.ROOT / "config.toml").read_text().splitlines()

        assert [line for line in lines if "=" in line and "  # " not in line] == []


class TestTheEnvironment:
    def test_overrides_the_file(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PUNKTUAL_DATABASE_URL", "postgresql://host/name")
        monkeypatch.setenv("PUNKTUAL_SENDING_GIVE_UP_AFTER_DAYS", "3")

        settings = load()

        assert settings.database.url.get_secret_value() == "postgresql://host/name"
        assert settings.sending.give_up_after_days == 3

    def test_with_an_unknown_name_stops_the_start_with_a_suggestion(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PUNKTUAL_DATABASE_URI", "postgresql://host/name")

        with pytest.raises(SettingsInvalid, match="URI: no such setting; did you mean PUNKTUAL_DATABASE_URL"):
            load()

    def test_with_a_wrong_type_stops_the_start(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PUNKTUAL_WORKER_THREADS", "many")

        with pytest.raises(
            SettingsInvalid, match=r"^worker\.threads \(PUNKTUAL_WORKER_THREADS\): must be a whole number$"
        ):
            load()


class TestASettingThatIsGone:
    """An installation that still sets it is told what there is instead, rather than sent mail by other rules."""

    SAYS = r"this setting was removed: .* sending\.give_up_after_days"

    def test_in_the_environment_stops_the_start(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PUNKTUAL_SENDING_MAX_ATTEMPTS", "5")

        with pytest.raises(SettingsInvalid, match=f"^PUNKTUAL_SENDING_MAX_ATTEMPTS: {self.SAYS}"):
            load()

    def test_in_the_file_stops_the_start(self, file: Path) -> None:
        file.write_text(file.read_text().replace("[sending]\n", "[sending]\nmax_attempts = 5\n"))

        with pytest.raises(SettingsInvalid, match=rf"^config\.toml line \d+: sending\.max_attempts: {self.SAYS}"):
            load()


class TestTheFile:
    @pytest.mark.parametrize(
        ("old", "new", "complaint"),
        [
            ("threads = ", 'threads = "8" #', r"config.toml line \d+: worker.threads: must be a whole number"),
            ("require_legal_basis = ", 'require_legal_basis = "no" #', "require_legal_basis: must be true or false"),
            ("behind_https = ", "behind_https = 1 #", "web.behind_https: must be true or false"),
            ("gap_seconds = ", 'gap_seconds = "1" #', "mailbox_gap_seconds: must be a number"),
            ("data_dir = ", 'data_dir = "" #', r"config.toml line \d+: data_dir: must not be empty"),
        ],
    )
    def test_with_a_wrong_type_stops_the_start(
        self, file: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, complaint: str
    ) -> None:
        monkeypatch.delenv("PUNKTUAL_SENDING_REQUIRE_LEGAL_BASIS")
        file.write_text(file.read_text().replace(old, new))

        with pytest.raises(SettingsInvalid, match=complaint):
            load()

    def test_does_not_matter_where_the_environment_overrides_it(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file.write_text(file.read_text().replace("threads = ", 'threads = "many" #'))
        monkeypatch.setenv("PUNKTUAL_WORKER_THREADS", "8")

        assert load().worker.threads == 8

    def test_with_an_unknown_key_stops_the_start_with_a_suggestion(self, file: Path) -> None:
        file.write_text(file.read_text().replace("retry_factor =", "retry_facter ="))

        with pytest.raises(SettingsInvalid, match=r"no such setting; did you mean sending\.retry_factor"):
            load()

    def test_that_is_no_toml_is_told_with_its_line(self, file: Path) -> None:
        file.write_text('data_dir = "var"\nurl = s3cret\n')

        with pytest.raises(
            SettingsInvalid, match=r"^config\.toml line 2: cannot be read as TOML: a value is"
        ) as refusal:
            load()

        assert "s3cret" not in str(refusal.value)

    @pytest.mark.parametrize(
        ("old", "new", "complaint"),
        [
            ("wakeup_milliseconds = 20", "wakeup_milliseconds = true", "wakeup_milliseconds: must be a number"),
            ("wakeup_milliseconds = 20", "wakeup_milliseconds = 5.5", "wakeup_milliseconds: must be a whole number"),
            ("wakeup_milliseconds = 20", "wakeup_milliseconds = [5]", "wakeup_milliseconds: must be a whole number"),
            ("lock_timeout_seconds = 5.0", "lock_timeout_seconds = nan", "must be a number"),
            ("lock_timeout_seconds = 5.0", "lock_timeout_seconds = inf", "must be at most 1,000,000"),
            ("lock_timeout_seconds = 5.0", "lock_timeout_seconds = -1", "must be at least 0.001"),
            ("mailbox_gap_seconds = 60.0", "mailbox_gap_seconds = 1e300", "must be at most 86,400"),
            ("behind_https = false", 'behind_https = "perhaps"', "web.behind_https: must be true or false"),
            ('level = "info"', 'level = "loud"', "log.level: must be 'debug', 'info', 'warning' or 'error'"),
            ('level = "info"', "level = 3", "log.level: must be 'debug', 'info', 'warning' or 'error'"),
        ],
    )
    def test_with_a_wrong_value_is_told_with_its_line_and_what_would_be_right(
        self, file: Path, old: str, new: str, complaint: str
    ) -> None:
        text = file.read_text()
        line = text[: text.index(f"\n{old}")].count("\n") + 2
        file.write_text(text.replace(f"\n{old}", f"\n{new}"))

        with pytest.raises(SettingsInvalid) as refusal:
            load()

        assert str(refusal.value).startswith(f"config.toml line {line}: ")
        assert str(refusal.value).endswith(complaint)

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            (b"web = 5\n", "config.toml line 1: web: must be a table of names and values, below [web]"),
            (b"data_dir = 5\n", "config.toml line 1: data_dir: must be text"),
            (b'data_dir = "z\xb3"\n', "config.toml line 1: is not UTF-8 text"),
            (b"a = " + b"[" * 5000, "config.toml line 1: lists or tables are nested too deeply in this file"),
            (b"a = " + b"9" * 5000, "config.toml line 1: a number in this file has too many digits"),
            (
                b'a = """\nlong\ntext\n',
                "config.toml line 1: cannot be read as TOML: a text, list or table that begins here is not closed",
            ),
        ],
    )
    def test_that_cannot_be_used_at_all_is_one_sentence_of_ours(self, file: Path, text: bytes, complaint: str) -> None:
        file.write_bytes(text)

        with pytest.raises(SettingsInvalid) as refusal:
            load()

        assert str(refusal.value).startswith(complaint)
        assert "\n" not in str(refusal.value)

    def test_that_is_missing_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PUNKTUAL_CONFIG", "/nowhere/config.toml")

        with pytest.raises(SettingsInvalid, match=r"/nowhere/config\.toml: there is no such"):
            load()

    @pytest.mark.parametrize(
        ("before", "key", "name"),
        [
            ("data_dir", "secret_key", "PUNKTUAL_SECRET_KEY"),
            ("worker_port", "password", "PUNKTUAL_METRICS_PASSWORD"),
            ("pages_url", "urls", "PUNKTUAL_NOTICES_URLS"),
        ],
    )
    def test_holds_no_secret(self, file: Path, before: str, key: str, name: str) -> None:
        file.write_text(file.read_text().replace(f"\n{before} =", f'\n{key} = "s3cret"\n{before} ='))

        with pytest.raises(SettingsInvalid, match=name) as refusal:
            load()

        assert "s3cret" not in str(refusal.value)


class TestAFileOfOnesOwn:
    @pytest.fixture
    def own(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        path = file.with_name("own.toml")
        monkeypatch.setenv("PUNKTUAL_CONFIG", str(path))
        return path

    def test_changes_what_it_names_and_leaves_the_rest_as_shipped(self, own: Path) -> None:
        own.write_text("")
        shipped = load().smtp
        own.write_text('[smtp]\nanswer_timeout_seconds = 500\n\n[dns]\nname_servers = ["192.0.2.1"]\n')

        settings = load()

        assert settings.smtp.answer_timeout_seconds == 500
        assert settings.smtp.command_timeout_seconds == shipped.command_timeout_seconds
        assert settings.dns.name_servers == ["192.0.2.1"]
        assert settings.database.embedded

    def test_may_be_empty(self, own: Path) -> None:
        own.write_text("# Nothing yet.\n")

        assert load().database.embedded

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("[worker]\nthreads = 0\n", "own.toml line 2: worker.threads: must be at least 1"),
            ("[worker]\nthreads = 'many'\n", "own.toml line 2: worker.threads: must be a whole number"),
            ("[worker]\nthread = 3\n", "own.toml line 2: worker.thread: no such setting; did you mean worker.threads?"),
            ("\n[web]\ntoken = 'x'\n", "own.toml: token belongs in the environment, as PUNKTUAL_WEB_TOKEN"),
        ],
    )
    def test_is_named_with_the_line_that_is_wrong(self, own: Path, text: str, complaint: str) -> None:
        own.write_text(text)

        with pytest.raises(SettingsInvalid) as refusal:
            load()

        assert str(refusal.value) == complaint

    def test_that_contradicts_a_default_is_told_the_line_of_the_default(self, own: Path) -> None:
        own.write_text("[smtp]\nconversation_timeout_seconds = 9999\n")

        with pytest.raises(
            SettingsInvalid, match=r"^config\.toml line \d+: sending\.claim_lease_seconds must be longer"
        ):
            load()


class TestContradictions:
    @pytest.mark.parametrize(
        ("name", "value", "complaint"),
        [
            ("SMTP_CONVERSATION_TIMEOUT_SECONDS", "300", "claim_lease_seconds must be longer"),
            ("SMTP_ANSWER_TIMEOUT_SECONDS", "895", "answer_lease_seconds must be longer"),
            ("SMTP_COMMAND_TIMEOUT_SECONDS", "299", r"smtp.command_timeout_seconds \(.*\) must not be longer"),
            ("IMAP_COMMAND_TIMEOUT_SECONDS", "61", r"imap.command_timeout_seconds \(.*\) must not be longer"),
            ("PLANNING_BUFFER_MINUTES", "30", "planning.buffer_minutes"),
            ("DATABASE_URL", "mysql://host/name", 'must be "embedded" or begin with postgresql://'),
            ("BROKER_URL", "redis://host", 'must be "embedded" or begin with amqp://'),
            ("METRICS_WORKER_PORT", "0", r"metrics\.worker_port"),
            (
                "SENDING_CLAIM_LEASE_SECONDS",
                "1",
                r"\(PUNKTUAL_SENDING_CLAIM_LEASE_SECONDS\) must be",
            ),
            ("SMTP_CONVERSATION_TIMEOUT_SECONDS", "9999", r"config.toml line \d+: sending.claim_lease_seconds must be"),
            ("METRICS_HOST", "0.0.0.0", "set PUNKTUAL_METRICS_PASSWORD"),
            ("METRICS_PASSWORD", "", "PUNKTUAL_METRICS_PASSWORD is empty"),
            ("SECRET_KEY", "short", "SECRET_KEY must be what `python -m admin new-key` prints"),
            ("SECRET_KEY", " ", "SECRET_KEY must be"),
            ("SECRET_KEY", f"{'k' * 43}=, short", "SECRET_KEY must be"),
            ("SECRET_KEY", f"short,{'k' * 43}=", "SECRET_KEY must be"),
            ("WEB_TOKEN", "", "at least 20"),
            ("WEB_PASSWORD_HASH", "", "what `python -m admin new-password` prints"),
            ("RETENTION_LETTERS_DAYS", "29", r"retention\.letters_days.*at least 30.*'off'"),
            ("SENDING_PAUSE_AT_FAILED_PERCENT", "0", r"pause_at_failed_percent.*'off'"),
            ("SENDING_PAUSE_AT_FAILED_PERCENT", "101", r"pause_at_failed_percent.*'off'"),
            ("SENDING_PAUSE_AFTER_RESULTS", "1001", "pause_after_results"),
            ("NOTICES_PAGES_URL", "punktual.sender.example", "notices.pages_url"),
        ],
    )
    def test_stop_the_start_with_one_line(
        self, file: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, complaint: str
    ) -> None:
        monkeypatch.setenv(f"PUNKTUAL_{name}", value)

        with pytest.raises(SettingsInvalid, match=complaint) as refusal:
            load()

        assert "\n" not in str(refusal.value)


class TestSecrets:
    @pytest.mark.parametrize(
        "password", ["s3/cret", "s3#cret", "s3?cret", "5432/cret", "5432?cret", "5432#cret", "s3@cret"]
    )
    @pytest.mark.parametrize(("name", "scheme"), [("DATABASE_URL", "postgresql"), ("BROKER_URL", "amqp")])
    def test_that_would_be_taken_for_another_part_of_a_url_stop_the_start_untold(
        self, file: Path, monkeypatch: pytest.MonkeyPatch, name: str, scheme: str, password: str
    ) -> None:
        monkeypatch.setenv(f"PUNKTUAL_{name}", f"{scheme}://ola:{password}@host:1234/name")

        with pytest.raises(SettingsInvalid, match="must be percent-encoded") as refusal:
            load()

        assert "cret" not in str(refusal.value)

    @pytest.mark.parametrize(
        ("url", "told"),
        [
            ("postgresql://ola:s3%2Fcret@host/name", "postgresql://ola:***@host/name"),
            ("postgresql://ola:s3:cret@[::1]:5432/name", "postgresql://ola:***@[::1]:5432/name"),
            ("postgresql://ola:s3cret@one:1,two:2/name", "postgresql://ola:***@one:1,two:2/name"),
            ("postgresql://host/name?password=s3cret&user=ola", "postgresql://host/name?password=***&user=ola"),
            ("postgresql://host/name?sslpassword=s3cret", "postgresql://host/name?sslpassword=***"),
            ("postgresql://postgres:@/postgres?host=/tmp/x", "postgresql://postgres:@/postgres?host=/tmp/x"),
            ("postgresql:///name", "postgresql:///name"),
        ],
    )
    def test_in_a_url_are_told_as_stars_wherever_they_stand(
        self, file: Path, monkeypatch: pytest.MonkeyPatch, url: str, told: str
    ) -> None:
        monkeypatch.setenv("PUNKTUAL_DATABASE_URL", url)

        assert shown(load())["database"]["url"] == told

    def test_never_print(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PUNKTUAL_SECRET_KEY", f"s3cret{'k' * 37}=")
        monkeypatch.setenv("PUNKTUAL_DATABASE_URL", "postgresql://ola:s3cret-db@host/name")
        monkeypatch.setenv("PUNKTUAL_BROKER_URL", "amqp://ola:s3cret-mq@host:5672/%2F")
        monkeypatch.setenv("PUNKTUAL_NOTICES_URLS", "json://s3cret-place")

        settings = load()

        assert "s3cret" not in repr(settings) + str(settings) + repr(shown(settings))
        assert shown(settings)["database"]["url"] == "postgresql://ola:***@host/name"


@pytest.mark.parametrize(
    "given",
    ["", Fernet.generate_key().decode(), f"{'k' * 43}=,\n{'+/' * 21}w="],
    ids=["none", "generated", "several"],
)
def test_secret_keys_that_can_be_used_do_not_stop_the_start(
    file: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("PUNKTUAL_SECRET_KEY", given)

    assert [Fernet(each) for each in load().secret_keys] or not given


class TestAPrivateFolder:
    def test_is_closed_to_others_with_all_that_had_to_be_made_for_it(self, tmp_path: Path) -> None:
        made = config.private_folder(tmp_path / "var" / "mails")

        assert [mode(made), mode(made.parent)] == [0o700, 0o700]

    def test_of_the_version_before_is_closed_like_the_data_folder_above_it(
        self, tmp_path: Path, settings: Override
    ) -> None:
        var = tmp_path / "open" / "var"
        (var / "journal" / "deep").mkdir(parents=True)
        for folder in (var.parent, var, var / "journal"):
            folder.chmod(0o755)
        settings(DATA_DIR=var)

        config.private_folder(var / "journal")

        assert [mode(folder) for folder in (var / "journal", var, var.parent)] == [0o700, 0o700, 0o755]

    @pytest.mark.parametrize("found", [0o1777, 0o1755])
    def test_is_not_closed_where_others_share_it(self, tmp_path: Path, found: int) -> None:
        tmp_path.chmod(found)

        config.private_folder(tmp_path)

        assert mode(tmp_path) == found

    def test_is_not_closed_where_the_program_is_in_it(self, settings: Override) -> None:
        settings(DATA_DIR=".")
        before = mode(config.ROOT)

        config.private_folder(config.settings().var)

        assert mode(config.ROOT) == before

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
    def test_of_another_user_stays_as_it_is(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o755)
        os.chown(tmp_path, 65534, 65534)

        config.private_folder(tmp_path)

        assert mode(tmp_path) == 0o755


def mode(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


class TestTheUnsubscribePage:
    @pytest.mark.parametrize(
        ("given", "url"),
        [
            ("", ""),
            ("https://stop.sender.example", "https://stop.sender.example"),
            ("https://stop.sender.example:8443/mail/", "https://stop.sender.example:8443/mail"),
            ("http://127.0.0.1:8026", "http://127.0.0.1:8026"),
        ],
    )
    def test_has_a_public_address(self, settings: Override, given: str, url: str) -> None:
        settings(UNSUBSCRIBE_URL=given)

        assert load().unsubscribe.url == url

    @pytest.mark.parametrize(
        "given",
        [
            *(
                "http://stop.sender.example",
                "stop.sender.example",
                "https://",
                "https://żółw.example",
                "ftp://x.example",
            ),
            *("https://x.example?a=b", "https://x.example/#a", "https://x.example/a b", "https://a>,<mailto:x@y"),
        ],
    )
    def test_is_refused_where_no_header_could_hold_it(self, settings: Override, given: str) -> None:
        settings(UNSUBSCRIBE_URL=given)

        with pytest.raises(SettingsInvalid, match=r"unsubscribe\.url .*must be"):
            load()


@pytest.mark.parametrize("url", ["http://login.example", "https://", "login.example", "https://user@login.example"])
def test_a_login_server_is_asked_over_https_alone(settings: Override, url: str) -> None:
    settings(OAUTH_MICROSOFT_LOGIN_URL=url)

    with pytest.raises(SettingsInvalid, match=r"oauth\.microsoft_login_url .*begins with https://"):
        load()
