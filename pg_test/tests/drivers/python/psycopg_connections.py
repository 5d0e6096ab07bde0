"""psycopg 3 without a pool: a token for each connection."""

import os
import subprocess

import psycopg


def fetch_token():
    return subprocess.check_output([os.environ["TOKEN_COMMAND"]], text=True).strip()


dsn = os.environ["URL"]
for _ in range(2):
    with psycopg.connect(dsn, password=fetch_token()) as connection:
        print(connection.execute(os.environ["QUERY"]).fetchone()[0])
