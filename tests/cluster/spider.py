"""octroi on Spider tables: a head without rows, and servers that hold the rows, divided by account.

docs/many-machines.md says why this is not recommended.  Tables whose keys do not begin with an account are whole, on the
first of the servers.
"""

import pathlib
import re

from nodes import Nodes
from octroi import build_dir

PLUGIN = "ha_spider.so"
SETTINGS = "plugin_dir = {plugins}\nplugin_load_add = ha_spider\nspider_internal_xa = {xa}\n"


def plugins():
    """The directory with Debian's mariadb-plugin-spider, or None; it may be unpacked beside the build."""
    places = (pathlib.Path("/usr/lib/mysql/plugin"), build_dir() / "programs/usr/lib/mysql/plugin")
    return next((place for place in places if (place / PLUGIN).exists()), None)


def why_no_spider():
    return None if plugins() else f"there is no {PLUGIN} (mariadb-plugin-spider)"


class Spider(Nodes):
    """xa: a COMMIT is one of all servers that hold rows (two phases)."""

    def __init__(self, base, count=3, xa=0, **more):
        super().__init__(base, count, "single", **more)
        with open(self[0].home / "my.cnf", "a", encoding="ascii") as settings:
            settings.write(SETTINGS.format(plugins=plugins(), xa=xa))

    def start(self):
        head, *holders = self.nodes
        for node in holders:
            self._fill(head.home / "db", node)
        for node in self.nodes:
            node.start()
        for node in holders:
            head.sql(f"CREATE SERVER s{node.number} FOREIGN DATA WRAPPER mysql OPTIONS (HOST '{node.peer}', PORT {node.port},"
                     " DATABASE 'octroi', USER 'admin', PASSWORD 'admin')")
        for (table,) in head.sql("SHOW TABLES"):
            self._convert(table)

    def _convert(self, table):
        """The head's own table becomes one of Spider's, and its rows move."""
        head, *holders = self.nodes
        made = head.sql(f"SHOW CREATE TABLE {table}")[0][1].replace("\\n", "\n").replace("\\\\", "\\")
        made = re.sub(r"ENGINE=InnoDB( AUTO_INCREMENT=\d+)?", "ENGINE=SPIDER", made)
        column = "id" if table == "accounts" else "account_id"
        keys = re.findall(r"(?:PRIMARY|UNIQUE) KEY[^(]*\(([^)]*)\)", made)
        if not keys or not all(f"`{column}`" in key for key in keys):
            head.sql(f"DROP TABLE {table}; {made} COMMENT='wrapper \"mysql\", srv \"s{holders[0].number}\", table \"{table}\"'")
            return
        parts = ", ".join(f"PARTITION p{node.number} COMMENT = 'srv \"s{node.number}\"'" for node in holders)
        for node in holders:
            node.sql(f"TRUNCATE TABLE {table}")
        head.sql(f"RENAME TABLE {table} TO moved; {made} COMMENT='wrapper \"mysql\", table \"{table}\"' PARTITION BY KEY ({column}) ({parts});"
                 f"INSERT INTO {table} SELECT * FROM moved; DROP TABLE moved")

    def database(self, nodes=None):
        """octroi knows the head alone."""
        return super().database(nodes or [self[0]])

    def primary(self):
        return self[0].name
