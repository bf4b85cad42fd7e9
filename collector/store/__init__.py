"""The store: SQLite with one writer thread and read-only readers. All SQL of the collector stands in this folder.

The statements keep to what PostgreSQL also understands, placeholders apart.
"""

import sqlite3

StoreError = sqlite3.Error
"""Why something could not be stored or read: the one error of the database that others need to know."""
