"""pg8000: a token for each connection."""

import os
import ssl
import subprocess

import pg8000.dbapi


def fetch_token():
    return subprocess.check_output([os.environ["TOKEN_COMMAND"]], text=True).strip()


host, port = os.environ["PGHOST"], int(os.environ["PGPORT"])
user, database = os.environ["PGUSER"], os.environ["PGDATABASE"]
ca_file = os.environ["PGSSLROOTCERT"]
tls = ssl.create_default_context(cafile=ca_file)
if os.environ["PGSSLMODE"] == "disable":
    tls = False
for _ in range(2):
    connection = pg8000.dbapi.connect(
        user, host, database, port, password=fetch_token(), ssl_context=tls
    )
    cursor = connection.cursor()
    cursor.execute(os.environ["QUERY"])
    print(cursor.fetchone()[0])
    connection.close()
