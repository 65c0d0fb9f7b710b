"""One example of each thing that src/README.md says how to add, as data: the text, and its place in a file."""

import dataclasses
import pathlib

TOP = pathlib.Path(__file__).resolve().parents[2]
NEWEST = max(str(path.relative_to(TOP)) for path in TOP.glob("sql/[0-9]*.sql"))
AGREEMENT = "tests/style/test_agreement.py::"


@dataclasses.dataclass
class Edit:
    """missed: the test, or "make" and a target, that fails without the edit."""
    file: str
    text: str
    missed: str
    after: str = ""   # the anchor, which is in the file once; the text goes behind it
    before: str = ""  # or in front of it; without an anchor, the text is a new file

    def apply(self, content):
        if not self.after and not self.before:
            assert content is None, f"{self.file} is there already"
            return self.text
        anchor = self.after or self.before
        assert content is not None, f"{self.file} is not there: change tests/additions/additions.py"
        assert content.count(anchor) == 1, \
            f"{self.file} has {anchor!r} {content.count(anchor)} times: change tests/additions/additions.py"
        return content.replace(anchor, anchor + self.text if self.after else self.text + anchor)


def before(file, anchor, text, missed):
    return Edit(file, text, missed, before=anchor)


def after(file, anchor, text, missed):
    return Edit(file, text, missed, after=anchor)


VERSION = "INSERT INTO schema_versions (version) VALUES ("  # the last statement of a file of sql/
SCHEMA = AGREEMENT + "test_table_is_that_of_the_schema"

# (row of the table in src/README.md, edits).
ADDITIONS = [
    ("a setting", [
        before("src/config.def", "KEY(TEXT, hold_expiry,",
               'KEY(NUMBER, shelf_size, 7, 1, 99, "books that fit on a shelf")\n',
               missed="make src/routes/ops.o"),
        before("man/octroi.conf.5", ".It Ic hold_expiry\n",
               ".It Ic shelf_size\nBooks that fit on a shelf.\nInteger from 1 to 99; default \\(lq7\\(rq.\n",
               missed=AGREEMENT + "test_setting_is_in_the_manual"),
        before("docs/settings.md", "| `hold_expiry` |", "| `shelf_size` | `7` | books that fit on a shelf |\n",
               missed=AGREEMENT + "test_settings_page_is_made_of_the_list"),
        before("src/routes/ops.c", "\twrite_database(c, out);\n",
               '\tmetrics_value(out, "octroi_shelf_size", "gauge", "Books that fit.", c->config->shelf_size);\n',
               missed=AGREEMENT + "test_setting_is_used"),
    ]),
    ("a column of such a table", [
        after("src/ledger/rows/columns.def", "\tTEXT(hold_3, RARE_VARYING)", " \\\n\tINT(shelf_count, VARYING)",
              missed=SCHEMA),
        before(NEWEST, VERSION,
               "ALTER TABLE accounts ADD COLUMN IF NOT EXISTS shelf_count BIGINT NOT NULL DEFAULT 0;\n",
               missed=SCHEMA),
    ]),
    ("a column of such a table", [
        after("src/ledger/rows/columns.def", "\tINT(incomplete, RARE_VARYING) \\\n\tINT(reported, RARE_VARYING)",
              " \\\n\tINT(shelf_number, VARYING)", missed=SCHEMA),
        before(NEWEST, VERSION,
               "ALTER TABLE usages ADD COLUMN IF NOT EXISTS shelf_number BIGINT NOT NULL DEFAULT 0;\n",
               missed=SCHEMA),
        before("sql/grants.sql", ") ON octroi.usages TO", ", shelf_number", missed=AGREEMENT + "test_grants"),
    ]),
    # Found by the keys that commands name.
    ("a table of the ledger", [
        before("src/ledger/rows/columns.def", "/* captures: ", """\
/* shelves: the books of an account. */
#define SHELVES_COLUMNS(INT, TEXT, BYTES) \\
	BYTES(account_id, 16, KEY) \\
	INT(books, VARYING)

""", missed="make src/ledger/rows/table.o"),
        before("src/ledger/rows/tables.def", "TABLE(REQUESTS,", "TABLE(SHELVES, shelves, NAMED)\n",
               missed="make src/ledger/needs.o"),
        before(NEWEST, VERSION, """\
CREATE TABLE IF NOT EXISTS shelves (
  account_id BINARY(16) NOT NULL PRIMARY KEY,
  books BIGINT NOT NULL DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin;
""", missed=SCHEMA),
        before("sql/README.md", "| `requests` |", "| `shelves` | the books of an account | nothing |\n",
               missed=AGREEMENT + "test_tables_are_those_of_the_manual"),
        before("sql/grants.sql", "GRANT DELETE ON octroi.batches",
               "GRANT UPDATE ON octroi.shelves TO 'octroi'@'localhost';\n",
               missed=AGREEMENT + "test_grants"),
        before("src/ledger/needs.c", "\tif ((needs & NEEDS_PROFILE) != 0)\n", """\
	if (c->kind == COMMAND_EXTEND)
		ok = ok && rows_want(rows, s, TABLE_SHELVES, NULL);
""", missed="shown.py::test_table_of_named_rows"),
    ]),
    # Loaded whole.
    ("a table of the ledger", [
        before("src/ledger/rows/columns.def", "/* captures: ", """\
/* labels: the labels of an account's shelves. */
#define LABELS_COLUMNS(INT, TEXT, BYTES) \\
	BYTES(account_id, 16, KEY) \\
	INT(seq, KEY) \\
	TEXT(label, FIXED)

""", missed="make src/ledger/rows/table.o"),
        before("src/ledger/rows/tables.def", "TABLE(REQUESTS,", "TABLE(LABELS, labels, ACCOUNT)\n",
               missed="make src/ledger/rows/rows.o"),
        before(NEWEST, VERSION, """\
CREATE TABLE IF NOT EXISTS labels (
  account_id BINARY(16) NOT NULL,
  seq BIGINT NOT NULL,
  label VARCHAR(64) NOT NULL DEFAULT '',
  PRIMARY KEY (account_id, seq)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
""", missed=SCHEMA),
        before("sql/README.md", "| `requests` |", "| `labels` | the label of a shelf | nothing |\n",
               missed=AGREEMENT + "test_tables_are_those_of_the_manual"),
        before("src/ledger/prefetch.c", "\tif (add_account_select(b, TABLE_HOLDS, needs_holds))\n", """\
	if (add_account_select(b, TABLE_LABELS, every_slot))
		order[count++] = TABLE_LABELS;
""", missed="shown.py::test_table_of_all_rows"),
        before("src/ledger/rows/slot.h", "\tstruct holds_row *holds; ", "\tstruct labels_row *labels;\n",
               missed="make src/ledger/rows/rows.o"),
        before("src/ledger/rows/rows.c", "\t\tCHECK(row->table == TABLE_WORKSPACES && ", """\
		if (row->table == TABLE_LABELS) {
			row->next = (struct row *)s->labels;
			s->labels = (struct labels_row *)row;
			return true;
		}
""", missed="shown.py::test_table_of_all_rows"),
    ]),
    # Of a command.
    ("an outcome", [
        before("src/ledger/outcomes.def", "OUTCOME(ACCOUNT_CONFLICT,",
               'OUTCOME(SHELF_FULL, 409, "This shelf is full.", "Cette étagère est pleine.")\n',
               missed="make src/ledger/decide/extend.o"),
        before("src/routes/openapi.json", '              "BONUS_CLAIMED",\n', '              "SHELF_FULL",\n',
               missed=AGREEMENT + "test_openapi_knows_every_outcome"),
        before("src/ledger/decide/extend.c", "\n\t/* From here on it succeeds. */\n", """\
	if (output == 4242) {
		a->outcome = OUTCOME_SHELF_FULL;
		return;
	}
""", missed=AGREEMENT + "test_outcome_is_given_and_tested"),
        after("tests/decide/test_decide.c", "\t\t{COMMAND_EXTEND,\n\t         {", "OUTCOME_SHELF_FULL, ",
              missed=AGREEMENT + "test_outcome_is_given_and_tested"),
        before("tests/decide/test_decide.c", '\t\t"extend a 1 ttl=600 -> OK amount=500 expires=600 output=100 seq=1',
               '\t\t"give a 100000 -> OK", "extend a 1 out=4242 -> SHELF_FULL", "give a -100000 -> OK",\n',
               missed=AGREEMENT + "test_outcome_is_given_and_tested"),
    ]),
    # Of a handler alone.
    ("an outcome", [
        before("src/ledger/outcomes.def", "OUTCOME(ACCOUNT_CONFLICT,",
               'OUTCOME(SHELF_CLOSED, 404, "This shelf is closed.", "Cette étagère est fermée.")\n',
               missed="make src/routes/accounts.o"),
        before("src/routes/openapi.json", '              "BONUS_CLAIMED",\n', '              "SHELF_CLOSED",\n',
               missed=AGREEMENT + "test_openapi_knows_every_outcome"),
        after("src/routes/accounts.c",
              "void accounts_get(struct call *c)\n{\n\tstruct command command = {.kind = COMMAND_TOUCH};\n", """
	if (strcmp(c->segment[0], "shelf:closed") == 0) {
		render_outcome(c, OUTCOME_SHELF_CLOSED);
		return;
	}
""", missed=AGREEMENT + "test_outcome_is_given_and_tested"),
        Edit("tests/api/test_shelf.py", """\
def test_a_closed_shelf(nginx):
    refused = nginx.get("/api/accounts/shelf:closed", key="app")
    assert (refused.status, refused.json["error"]) == (404, "SHELF_CLOSED")
""", missed=AGREEMENT + "test_outcome_is_given_and_tested"),
    ]),
    ("a route", [
        before("src/routes/routes.def", 'ROUTE(GET, "/api/pricing",',
               'ROUTE(GET, "/api/shelf", OWNER, ANY, ops_shelf, READ, 50)\n',
               missed=AGREEMENT + "test_routes_are_those_of_openapi"),
        before("src/routes/ops.c", "/* ---- GET /metrics -", """\
void ops_shelf(struct call *c)
{
	struct json_writer w;

	render_open(c, &w);
	json_put_int(&w, "books", 3);
	render_close(&w);
}

""", missed="make octroi"),
        before("nginx/public.conf", "location = /api/pricing ",
               "location = /api/shelf { include octroi/pass.conf; include octroi/fastcgi_params;"
               " fastcgi_pass octroi_public; }\n",
               missed=AGREEMENT + "test_web_servers_pass_on_the_public_routes"),
        before("apache/public.conf", "|webhooks)(/.*)?)$", "|shelf",
               missed=AGREEMENT + "test_web_servers_pass_on_the_public_routes"),
        before("src/routes/openapi.json", '    "/api/pricing": {\n', """\
    "/api/shelf": {
      "get": {
        "operationId": "ops_shelf",
        "summary": "Books on the shelf",
        "tags": ["credits"],
        "security": [{"key": ["app"]}, {"key": ["admin"]}, {"key": ["report"]}, {"browser": []}],
        "parameters": [{"$ref": "#/components/parameters/account"}, {"$ref": "#/components/parameters/language"}],
        "responses": {
          "200": {
            "description": "Done.",
            "content": {"application/json": {"schema": {
              "type": "object", "additionalProperties": false,
              "properties": {"books": {"type": "integer"}}, "required": ["books"]
            }}}
          },
          "400": {"$ref": "#/components/responses/Invalid"},
          "401": {"$ref": "#/components/responses/Unauthorized"},
          "403": {"$ref": "#/components/responses/Forbidden"},
          "429": {"$ref": "#/components/responses/TooMany"},
          "503": {"$ref": "#/components/responses/Unavailable"}
        }
      }
    },
""", missed=AGREEMENT + "test_routes_are_those_of_openapi"),
        before("tests/api/test_openapi.py", '    ask("GET", "/metrics", "report", 200)\n',
               '    ask("GET", "/api/shelf", "app", 200, query="?account=a")\n',
               missed="tests/api/test_openapi.py::test_every_route_is_asked_for"),
        before("tests/api/test_costs.py", '    "/api/pricing": [',
               '    "/api/shelf": [("?account={account}", "app")],\n',
               missed="tests/api/test_costs.py::test_every_read_has_its_dearest_request"),
        Edit("tests/fuzz/corpus/dispatcher/shelf", "1GET /api/shelf?account=a\n",
             missed="tests/fuzz/test_fuzz.py::test_each_route_has_an_input"),
    ]),
]
