"""How long `campaign add` takes for many leads, and its memory, beside parsing the same file and COPY of the same rows.

`python -m bench.importing FILE DATABASE_URL` is the yardstick: no check of addresses, fields, templates or letters.
"""

import argparse
import csv
import io
import json
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2

from bench.processes import measured, run
from bench.results import Recorder
from bench.services import Services

CAMPAIGN = """
name = "Autumn"
subject = "{{ name }}, a question about {{ company }}"
text = '''
Dear {{ name }},

we have looked at what {{ company }} does in {{ city }}, and would like to talk to you.

Ola
'''
mailboxes = ["ola@sender.example"]
window_start = "09:00"
window_end = "17:00"
weekdays = ["mon", "tue", "wed", "thu", "fri"]
delay_between_emails_seconds = 300
daily_limit = 80
"""
MAILBOX = ["ola@sender.example", "--host", "127.0.0.1", "--port", "25", "--security", "none", "--daily-limit", "100"]


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--leads", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)


TINY = {"leads": 500, "rounds": 1}


def measure(services: Services, record: Recorder, it: argparse.Namespace) -> None:
    folder = services.home / "data"
    folder.mkdir(parents=True, exist_ok=True)
    campaign, leads = folder / "campaign.toml", folder / "leads.csv"
    campaign.write_text(CAMPAIGN, encoding="utf-8")
    write_leads(leads, it.leads)
    for number in range(it.rounds):
        add = ["-m", "admin", "campaign", "add", str(campaign), "--leads", str(leads)]
        cases = {"campaign add": add, "COPY": ["-m", "bench.importing", str(leads)]}
        for case, command in list(cases.items())[:: 1 if number % 2 == 0 else -1]:
            record.add(case, _measured(services, command, it.leads), number)


def write_leads(file: Path, count: int) -> None:
    with file.open("w", newline="", encoding="utf-8") as output:
        write = csv.writer(output)
        write.writerow(("email", "name", "company", "city", "phone"))
        for n in range(count):
            address = f"Anna.Nowak{n}@Firma{n % 5000}.example"
            write.writerow((address, f"Anna Nowak {n}", f"Piekarnia Kłos {n}", "Kraków", f"+48 600 {n:06}"))


def _measured(services: Services, command: list[str], leads: int) -> dict[str, Any]:
    with closing(services.database()) as database:
        environment = services.environment(database.url)
        run([sys.executable, "-m", "admin", "mailbox", "add", *MAILBOX], environment)
        whole = [sys.executable, *command, *([database.url] if "bench.importing" in command else [])]
        before = services.postgres_cpu()
        found: dict[str, Any] = dict(measured(whole, environment, services.log("import")))
        found["postgres_cpu"] = services.postgres_cpu() - before
        count = database.one("SELECT count(*) FROM campaign_lead")
        found["problems"] = [] if count == leads else [f"{count} of {leads} leads are in the database"]
    return found


STAGE = "CREATE TEMP TABLE stage (position int, address text, fields jsonb) ON COMMIT DROP"
LEADS = """
INSERT INTO lead (address) SELECT lower(address) FROM stage ORDER BY 1 ON CONFLICT DO NOTHING;
INSERT INTO campaign (name, window_start_minute, window_end_minute, weekdays, delay_seconds, daily_limit)
VALUES ('copied', 540, 1020, '{0,1,2,3,4}', 300, 80);
INSERT INTO campaign_lead (campaign_id, lead_id, position, address, fields)
SELECT (SELECT max(id) FROM campaign), l.id, s.position, s.address, s.fields
FROM stage s JOIN lead l ON l.address = lower(s.address) ORDER BY s.position
"""


def copy(leads: Path, url: str) -> None:
    stream = io.StringIO()
    write = csv.writer(stream)
    with leads.open(newline="", encoding="utf-8") as file:
        for position, fields in enumerate(csv.DictReader(file), start=1):
            write.writerow((position, fields["email"], json.dumps(fields)))
    stream.seek(0)
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(STAGE)
        cursor.copy_expert("COPY stage FROM STDIN (FORMAT csv)", stream)
        cursor.execute(LEADS)


if __name__ == "__main__":
    copy(Path(sys.argv[1]), sys.argv[2])
