"""psycopg 3: the pool asks for a token for each connection that it opens."""

import os
import subprocess

from psycopg_pool import ConnectionPool


def fetch_token():
    return subprocess.check_output([os.environ["TOKEN_COMMAND"]], text=True).strip()


dsn = os.environ["URL"]
pool = ConnectionPool(dsn, kwargs=lambda: {"password": fetch_token()}, min_size=0, max_size=2, timeout=5)
with pool, pool.connection() as first, pool.connection() as second:
    for connection in (first, second):
        print(connection.execute(os.environ["QUERY"]).fetchone()[0])
