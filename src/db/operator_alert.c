#include "db/operator_alert.h"

#include "base/check.h"
#include "db/sql.h"

#define SQL_MAX ((size_t)8 * 1024)

struct texts {
	const char *name, *subject, *sentence;
};

static const struct texts *texts_of(int64_t kind)
{
	static const struct texts texts[OPERATOR_ALERTS] = {
#define OPERATOR_ALERT(NAME, name, subject, sentence) [OPERATOR_##NAME] = {name, subject, sentence},
#include "db/operator_alerts.def"
#undef OPERATOR_ALERT
	};

	CHECK(kind >= 0 && kind < OPERATOR_ALERTS);
	return &texts[kind];
}

const char *operator_alert_name(int64_t kind)
{
	return texts_of(kind)->name;
}

const char *operator_alert_subject(int64_t kind)
{
	return texts_of(kind)->subject;
}

const char *operator_alert_sentence(int64_t kind)
{
	return texts_of(kind)->sentence;
}

static void put_subject(struct buf *sql, enum operator_alert_kind kind, const char *subject)
{
	sql_literal(sql, " WHERE kind=");
	sql_int(sql, kind);
	sql_literal(sql, " AND subject=");
	sql_text(sql, subject);
}

/* The sums are over the alerts of the kind and the subject: one row, also without any. */
void operator_alert_sql(struct buf *sql, const struct operator_alert *a)
{
	CHECK(a->arming >= 0);
	sql_literal(sql, "INSERT IGNORE INTO operator_alerts"
	                 " (kind,subject,detail,value,bound,arming,ended_at_us,created_at_us) SELECT ");
	sql_int(sql, a->kind);
	sql_literal(sql, ",");
	sql_text(sql, a->subject);
	sql_literal(sql, ",LEFT(");
	sql_text(sql, a->detail);
	sql_literal(sql, ",255),");
	sql_int(sql, a->value);
	sql_literal(sql, ",");
	sql_int(sql, a->bound);
	if (a->arming != 0) {
		sql_literal(sql, ",");
		sql_int(sql, a->arming);
	} else {
		sql_literal(sql, ",COALESCE(MAX(arming),0)+1");
	}
	if (a->lasts)
		sql_literal(sql, ",0," SQL_NOW_US);
	else
		sql_literal(sql, "," SQL_NOW_US "," SQL_NOW_US);
	sql_literal(sql, " FROM operator_alerts");
	put_subject(sql, a->kind, a->subject);
	sql_literal(sql, " HAVING COALESCE(SUM(ended_at_us=0),0)=0");
}

int operator_alert_add(struct db *d, const struct operator_alert *a)
{
	struct buf sql;
	int64_t changed;

	buf_init(&sql, SQL_MAX);
	operator_alert_sql(&sql, a);
	changed = db_change(d, &sql);
	buf_free(&sql);
	return changed < 0 ? -1 : changed > 0;
}

int operator_alert_end(struct db *d, enum operator_alert_kind kind, const char *subject)
{
	struct buf sql;
	int64_t changed;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "UPDATE operator_alerts SET ended_at_us=" SQL_NOW_US);
	put_subject(&sql, kind, subject);
	sql_literal(&sql, " AND ended_at_us=0");
	changed = db_change(d, &sql);
	buf_free(&sql);
	return changed < 0 ? -1 : 0;
}
