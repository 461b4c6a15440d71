"""The tables of a SQL registry.

``headrace_definitions`` only grows; ``headrace_applications`` has a row for each change, and
``headrace_current`` says which versions are in force. `SCHEMA_VERSION` is raised whenever the tables
change, so that an older headrace refuses a newer registry instead of misreading it.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, MetaData, String, Table, Text, UniqueConstraint

SCHEMA_VERSION = 1

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
