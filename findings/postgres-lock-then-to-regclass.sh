#!/usr/bin/env bash
# PostgreSQL 16 (as pgserver 0.1.4 from PyPI brings it), psycopg 3.2.3.
#
# The usual way to have many processes make their tables once is a transaction that takes an advisory lock, looks with `to_regclass`
# whether the tables are there, and makes them if not. Whoever waited for the lock should see what the one before it committed: each
# statement under READ COMMITTED has a snapshot of its own, and a SELECT from pg_class does see it.
#
# Seen: in the transaction that waited, `to_regclass` still answers NULL, if this connection had looked for the schema before, while
# pg_class in the same transaction has the table; CREATE TABLE then fails with "relation … already exists". A new transaction on the same
# connection answers right. Name look-ups go through the backend's cache, which hears of changes when a transaction begins or a relation
# is locked; to have waited for an advisory lock is neither.
#
# Fails if that changes. Linux or macOS with python3; some 60 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export XDG_RUNTIME_DIR=$folder
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pgserver==0.1.4 'psycopg[binary]==3.2.3'
"$folder/venv/bin/python" - "$folder/data" <<'PYTHON'
import sys
import threading
import time

import pgserver
import psycopg

LOOK = "SELECT to_regclass('shop.items') IS NOT NULL"
CATALOG = (
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = 'shop' AND c.relname = 'items')"
)

server = pgserver.get_server(sys.argv[1])
first, second = (psycopg.connect(server.get_uri(), autocommit=True) for _ in range(2))
one = lambda connection, sql: connection.execute(sql).fetchone()[0]
print(one(first, "SELECT version()").split(" on ")[0])

assert one(second, LOOK) is False, "there is nothing yet, and this connection has looked"
first.execute("BEGIN")
first.execute("SELECT pg_advisory_xact_lock(7)")
answers = {}


def waits():
    second.execute("BEGIN")
    second.execute("SELECT pg_advisory_xact_lock(7)")
    answers["to_regclass"], answers["catalog"] = one(second, LOOK), one(second, CATALOG)
    try:
        second.execute("CREATE SCHEMA IF NOT EXISTS shop; CREATE TABLE shop.items (id int)")
        answers["create"] = "made"
    except psycopg.errors.DuplicateTable as error:
        answers["create"] = str(error).splitlines()[0]
    second.execute("ROLLBACK")
    answers["in a new transaction"] = one(second, LOOK)


waiting = threading.Thread(target=waits)
waiting.start()
while not one(psycopg.connect(server.get_uri(), autocommit=True), "SELECT count(*) FROM pg_locks WHERE NOT granted"):
    time.sleep(0.05)
first.execute("CREATE SCHEMA shop; CREATE TABLE shop.items (id int)")
first.execute("COMMIT")
waiting.join()
print(answers)
assert answers == {
    "to_regclass": False,
    "catalog": True,
    "create": 'relation "items" already exists',
    "in a new transaction": True,
}, "it has changed"
print("as described")
PYTHON
