"""test.py: two users of psycopg, SQLAlchemy and FastAPI, who share one connection behind PgBouncer. Prints TAP."""
import json
import os
import subprocess
import sys
import warnings

import psycopg

warnings.filterwarnings("ignore")  # of what the test client is made of
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from with_fastapi import app, engine
from with_psycopg import is_token_refused, user_transaction
from with_sqlalchemy import is_token_refused as is_refused_by_sqlalchemy, user_session

with open(os.environ["EXAMPLES_TOKENS"]) as file:
    tokens = json.load(file)
ann, bea, expired = (tokens[name][""] for name in ("ann", "bea", "ann_expired"))
READ, ADD = "SELECT body FROM notes ORDER BY id", "INSERT INTO notes (body) VALUES (%s) RETURNING user_id"
count = failed = 0


def same(got, wanted, name):
    global count, failed
    count += 1
    failed += got != wanted
    print(f"{'ok' if got == wanted else 'not ok'} {count} - {name}" + ("" if got == wanted else f"\n# got {got!r}, wanted {wanted!r}"), flush=True)


def sql(statement):
    subprocess.run([os.environ["EXAMPLES_PSQL"], "-XAtqv", "ON_ERROR_STOP=1", "-c", statement], check=True)


def error_of(kind, work):
    try:
        work()
    except kind as error:
        return error
    return None


def with_psycopg(connection):
    def bodies(token):
        with user_transaction(connection, token) as db:
            return [body for (body,) in db.execute(READ)]

    def add(token, body):
        with user_transaction(connection, token) as db:
            return db.execute(ADD, [body]).fetchone()

    def fail():
        with user_transaction(connection, ann) as db:
            db.execute(ADD, ["undone"])
            raise ZeroDivisionError

    def go_on():
        with user_transaction(connection, ann) as db:
            error_of(psycopg.Error, lambda: db.execute("SELECT 1/0"))

    same(add(ann, "hello"), ("user_ann",), "psycopg: an insert is in the name of whose token it is")
    add(bea, "bea's")
    same([bodies(token) for token in (ann, bea, None)], [["hello"], ["bea's"], []], "psycopg: everybody sees their own, nobody nothing")
    error_of(ZeroDivisionError, fail)
    same(bodies(ann), ["hello"], "psycopg: what fails is undone")
    same(type(error_of(psycopg.Error, go_on)), psycopg.errors.InFailedSqlTransaction, "psycopg: work that goes on after a statement that has failed is not reported as done")
    refused = error_of(psycopg.Error, lambda: bodies(expired))
    same([is_token_refused(refused), str(refused).splitlines()[0], expired in str(refused)],
         [True, "token-expired: the token has expired", False], "psycopg: a refused token is known as such, with the reason")
    same(is_token_refused(error_of(psycopg.Error, lambda: add(None, "x"))), False, "psycopg: what a policy refuses is not")
    same(connection.execute(READ).fetchall(), [], "psycopg: outside nobody is signed in")


def with_sqlalchemy():
    with user_session(engine, ann) as session:
        same(session.execute(text(READ)).scalars().all(), ["hello"], "SQLAlchemy: a session is of the user")
        session.commit()
        same(session.execute(text(READ)).scalars().all(), ["hello"], "SQLAlchemy: also in its second transaction")
        with session.begin_nested():
            same(session.execute(text("SELECT clerk.uid()")).scalar(), "user_ann", "SQLAlchemy: and in a savepoint")
    with user_session(engine, bea) as session:
        same(session.execute(text(READ)).scalars().all(), ["bea's"], "SQLAlchemy: another session of another")
    with user_session(engine, None) as session:
        same(session.execute(text(READ)).scalars().all(), [], "SQLAlchemy: nobody sees nothing")
    with user_session(engine, expired) as session:
        refused = error_of(DBAPIError, session.connection)
        same([is_refused_by_sqlalchemy(refused), expired in str(refused)], [True, False], "SQLAlchemy: a refused token is known as such, and not shown")
    with engine.connect() as connection:
        same(connection.execute(text(READ)).scalars().all(), [], "SQLAlchemy: outside nobody is signed in")


def with_fastapi(client):
    def ask(token):
        answer = client.get("/notes", headers={"Authorization": f"Bearer {token}"} if token else {})
        return answer.status_code, answer.json()

    same(client.post("/notes?body=more", headers={"Authorization": f"Bearer {ann}"}).json(), "user_ann", "FastAPI: a request is of whose token it has")
    same([ask(ann), ask(bea), ask(None)], [(200, ["hello", "more"]), (200, ["bea's"]), (200, [])], "FastAPI: everybody sees their own, nobody nothing")
    same(ask(expired), (401, {"detail": "token-expired: the token has expired"}), "FastAPI: a refused token is 401, with the reason")


sql("TRUNCATE notes")
with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True, prepare_threshold=None) as only:
    with_psycopg(only)
with_sqlalchemy()
with_fastapi(TestClient(app))
sys.exit(failed > 0)
