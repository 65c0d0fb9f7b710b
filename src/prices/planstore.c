#include "prices/planstore.h"

#include <string.h>

#include "base/check.h"
#include "db/sql.h"
#include "prices/plan_json.h"

#define LISTS_BYTES_MAX ((size_t)64 * 1024)

static bool same_lists(const struct plan *a, const struct plan *b)
{
	if (a->action_count != b->action_count || a->model_count != b->model_count)
		return false;
	for (int i = 0; i < a->action_count; i++) {
		micros credits;

		if (!plan_action_price(b, a->actions[i].name, &credits) || credits != a->actions[i].credits_micros)
			return false;
	}
	for (int i = 0; i < a->model_count; i++)
		if (strcmp(a->models[i], b->models[i]) != 0)
			return false;
	return true;
}

static bool same(const struct plan *a, const struct plan *b)
{
	return strcmp(a->title, b->title) == 0 && a->unit == b->unit && a->scope == b->scope &&
	       a->pool_micros == b->pool_micros && a->manager_micros == b->manager_micros &&
	       a->member_micros == b->member_micros && a->managers_to == b->managers_to &&
	       a->seats_from == b->seats_from && a->seats_to == b->seats_to &&
	       a->rollover_micros == b->rollover_micros && a->expected_manager_micros == b->expected_manager_micros &&
	       a->expected_member_micros == b->expected_member_micros && a->fee_minor == b->fee_minor &&
	       same_lists(a, b);
}

static void add_lists(struct buf *sql, const struct plan *p)
{
	void (*const writers[])(const struct plan *, struct json_writer *, const char *) = {plan_json_write_actions,
	                                                                                    plan_json_write_models};

	for (int i = 0; i < 2; i++) {
		struct json_writer w;
		struct buf list;

		buf_init(&list, LISTS_BYTES_MAX);
		json_writer_init(&w, &list);
		writers[i](p, &w, NULL);
		CHECK(buf_ok(&list));
		sql_literal(sql, ",");
		sql_text(sql, buf_text(&list));
		buf_free(&list);
	}
}

static void write_statement(struct buf *sql, const struct plan *p, int64_t version)
{
	const int64_t figures[] = {version,
	                           p->unit,
	                           p->scope,
	                           p->pool_micros,
	                           p->manager_micros,
	                           p->member_micros,
	                           p->managers_to,
	                           p->seats_from,
	                           p->seats_to,
	                           p->rollover_micros,
	                           p->expected_manager_micros,
	                           p->expected_member_micros,
	                           p->fee_minor};

	buf_reset(sql);
	sql_literal(sql, "INSERT INTO plans (name, title, version, unit, scope, pool_micros, manager_micros,"
	                 " member_micros, managers_to, seats_from, seats_to, rollover_micros,"
	                 " expected_manager_micros, expected_member_micros, fee_minor, actions, models) VALUES (");
	sql_text(sql, p->name);
	sql_literal(sql, ",");
	sql_text(sql, p->title);
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
		sql_literal(sql, ",");
		sql_int(sql, figures[i]);
	}
	add_lists(sql, p);
	sql_literal(sql, ")");
}

enum db_result planstore_insert(struct db *d, struct buf *sql, const struct book *before, int64_t version,
                                const struct plan *plans, size_t count, struct planstore_report *report)
{
	for (size_t i = 0; i < count; i++) {
		const struct plan *old = book_plan(before, plans[i].name);
		enum db_result result;

		CHECK(plan_valid(&plans[i]));
		if (old != NULL && same(old, &plans[i])) {
			report->unchanged++;
			continue;
		}
		write_statement(sql, &plans[i], version);
		result = db_query(d, sql);
		if (result == DB_OK)
			result = db_finish(d);
		if (result != DB_OK)
			return result;
		report->stored++;
	}
	return DB_OK;
}
