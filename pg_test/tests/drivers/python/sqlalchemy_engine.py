"""SQLAlchemy, on psycopg: the engine's pool asks for a token for each connection that it opens."""

import os
import subprocess

from sqlalchemy import create_engine, event, text


def fetch_token():
    return subprocess.check_output([os.environ["TOKEN_COMMAND"]], text=True).strip()


engine = create_engine(os.environ["URL"].replace("postgresql:", "postgresql+psycopg:", 1))


@event.listens_for(engine, "do_connect")
def provide_token(dialect, record, arguments, parameters):
    parameters["password"] = fetch_token()


with engine.connect() as first, engine.connect() as second:
    for connection in (first, second):
        print(connection.execute(text(os.environ["QUERY"])).scalar())
