"""The tables of a SQL registry.

``headrace_definitions`` only grows; ``headrace_applications`` has a row for each change, and
``headrace_current`` says which versions are in force. ``headrace_publications`` grows too, and
``headrace_serving`` says which one of a view readers get. `SCHEMA_VERSION` is raised whenever the tables
change, so that an older headrace refuses a newer registry instead of misreading it.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, MetaData, String, Table, Text, UniqueConstraint

SCHEMA_VERSION = 2

metadata = MetaData()

facts = Table(
    "headrace_registry",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

definitions = Table(
    "headrace_definitions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("name", String(256), nullable=False),
    Column("number", Integer, nullable=False),
    Column("fingerprint", String(16), nullable=False, index=True),
    Column("body", Text, nullable=False),
    Column("applied_at_us", BigInteger, nullable=False),
    Column("applied_by", Text, nullable=False),
    UniqueConstraint("kind", "name", "number"),
)

applications = Table(
    "headrace_applications",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("applied_at_us", BigInteger, nullable=False),
    Column("applied_by", Text, nullable=False),
)

current = Table(
    "headrace_current",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("name", String(256), primary_key=True),
    Column("definition_id", Integer, ForeignKey("headrace_definitions.id"), nullable=False),
)

publications = Table(
    "headrace_publications",
    metadata,
    Column("view", String(256), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("fingerprint", String(16), nullable=False),
    Column("table_version", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("run", String(64), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("frontier", BigInteger, nullable=False),
    Column("steps", BigInteger, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("published_at", BigInteger, nullable=False),
    Column("published_by", Text, nullable=False),
    Column("content_of", Integer, nullable=False),
    Column("vacuumed", Boolean, nullable=False, default=False),
    Column("served", Boolean, nullable=False, default=False),
    UniqueConstraint("view", "run"),
)

serving = Table(
    "headrace_serving",
    metadata,
    Column("view", String(256), primary_key=True),
    Column("number", Integer, nullable=False),
)

leases = Table(
    "headrace_leases",
    metadata,
    Column("name", String(512), primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("holder", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

holds = Table(
    "headrace_holds",
    metadata,
    Column("view", String(256), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("held_at", BigInteger, nullable=False),
    Column("held_by", Text, nullable=False),
)

pins = Table(
    "headrace_pins",
    metadata,
    Column("id", Integer, primary_key=True),  # a path may be longer than what an index takes
    Column("owner", Text, nullable=False),
    Column("view", String(256), nullable=False),
    Column("fingerprint", String(16), nullable=False),
    Column("table_version", BigInteger, nullable=False),
    Column("pinned_at", BigInteger, nullable=False),
)
