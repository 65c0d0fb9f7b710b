/*
 * command: one request to the ledger, about one account, with room for its answer.  Strings belong
 * to the submitter and must live until ledger_submit returns.  Zero-initialise, fill in, submit.
 */
#ifndef OCTROI_LEDGER_COMMAND_H
#define OCTROI_LEDGER_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/id.h"
#include "base/money.h"
#include "base/zone.h"
#include "ledger/outcome.h"
#include "prices/price.h"

#define COMMAND_MODELS_MAX 16
#define COMMAND_METADATA_MAX 1024
#define COMMAND_QUANTITY_MAX 1000000
#define COMMAND_CLAIMS_MAX 3 /* account, e-mail address, person */

enum command_kind {
#define COMMAND(NAME, name, needs) COMMAND_##NAME,
#include "ledger/commands.def"
#undef COMMAND
	COMMAND_COUNT
};

enum account_mode { MODE_PREPAID, MODE_POSTPAID };
/* SUSPENDED: by a person.  PAST_DUE: a charge was declined, and the account may still spend.  UNPAID: the account may
 * not spend any more. */
enum account_status { STATUS_ACTIVE, STATUS_SUSPENDED, STATUS_PAST_DUE, STATUS_UNPAID };
enum hold_source { SOURCE_PLATFORM, SOURCE_BYOK };
enum settle_outcome { SETTLE_COMPLETE, SETTLE_PARTIAL, SETTLE_FAILED };
enum settlement {
	SETTLEMENT_NONE,
	SETTLEMENT_EXACT,
	SETTLEMENT_PARTIAL,
	SETTLEMENT_ESTIMATED,
	SETTLEMENT_LATE,
	SETTLEMENT_PROVIDER_REPORTED
};
/* The state of the hold of a repeated authorize; NONE in any other answer. */
enum hold_state { HOLD_STATE_NONE, HOLD_STATE_OPEN, HOLD_STATE_SETTLED, HOLD_STATE_RELEASED, HOLD_STATE_EXPIRED };
/* usages.state: the way in which a hold ended.  An expired one may still be settled, late. */
enum usage_state { USAGE_SETTLED, USAGE_RELEASED, USAGE_EXPIRED };
/* usages.outcome, beside enum settle_outcome: the hold ended without a settlement. */
#define SETTLE_NEVER 3
/* members.role */
enum member_role { ROLE_MEMBER, ROLE_MANAGER };
enum limit_kind { LIMIT_NONE, LIMIT_BALANCE, LIMIT_HARD, LIMIT_MEMBER, LIMIT_DAILY, LIMIT_MONTHLY, LIMIT_SUSPENDED };

#define ALERT_THRESHOLDS_MAX 4
#define ALERT_PERCENTS_MAX 4
enum alert_kind {
#define ALERT(NAME, name) ALERT_##NAME,
#include "ledger/alerts.def"
#undef ALERT
	ALERT_COUNT
};

enum transaction_type {
#define TRANSACTION(NAME, sign, priority, counterpart) TRANSACTION_##NAME,
#include "ledger/transactions.def"
#undef TRANSACTION
	TRANSACTION_COUNT
};

/* payments.kind: the kind of object that was paid for.  Its number is topup_seq, in the command and in each row. */
enum payment_kind { PAYMENT_OF_TOPUP, PAYMENT_OF_STATEMENT, PAYMENT_OF_PERIOD };
/* topups.state.  Facts may come in any order; the highest state stands. */
enum topup_state { TOPUP_OPEN, TOPUP_PENDING, TOPUP_EXPIRED, TOPUP_FAILED, TOPUP_PAID };
/* refunds.status.  Facts may come in any order; the highest status stands. */
enum refund_status { REFUND_UNKNOWN, REFUND_PENDING, REFUND_SUCCEEDED, REFUND_FAILED };
enum event_provider { PROVIDER_STRIPE, PROVIDER_CLERK };
/* webhook_events.state.  PARKED and WAITING keep the body until the subject is known.  WAITING needs nobody's
 * attention. */
enum event_state { EVENT_APPLIED, EVENT_IGNORED, EVENT_PARKED, EVENT_WAITING };

/* allowances.reason.  PERIOD: the allowance that begins a period.  CARRIED: the unspent rest of the period before, as
 * far as the plan lets it stay.  UPGRADE: the addition of a greater plan to a period that has begun.  SEAT: the
 * addition for a member who joins.  LESS (negative): the part of a subscription's period that a smaller plan takes
 * back. */
enum allowance_reason { ALLOWANCE_PERIOD, ALLOWANCE_CARRIED, ALLOWANCE_UPGRADE, ALLOWANCE_SEAT, ALLOWANCE_LESS };
/* statements.state.  OPEN: to be charged.  SENT: Stripe has the invoice.  FAILED: a charge was declined, and will be
 * tried again.  VOID: nothing was owed any more when it was to be charged.  CARRIED: too small to be charged, so
 * the next statement includes it.  PAID, VOID and CARRIED are final. */
enum statement_state {
	STATEMENT_OPEN,
	STATEMENT_SENT,
	STATEMENT_FAILED,
	STATEMENT_PAID,
	STATEMENT_VOID,
	STATEMENT_CARRIED
};
/* recharges.state.  PAUSED: on, but nothing is charged until the card or the settings change. */
enum recharge_state { RECHARGE_OFF, RECHARGE_ON, RECHARGE_PAUSED };
/* recharges.reason; FINE: none. */
enum recharge_reason {
	RECHARGE_FINE,
#define RECHARGE_REASON(NAME, name, card, english, french) RECHARGE_##NAME,
#include "ledger/recharge_reasons.def"
#undef RECHARGE_REASON
	RECHARGE_REASONS
};
#define RECHARGE_DAILY_MAX 2 /* charges */
/* The worker's next step with a charge.  NOTHING: it is over.  READ: the rows have changed, and are read again.  POST:
 * the payment is asked for.  ASK: it may be there already, and must not be asked for again. */
enum recharge_step { RECHARGE_NOTHING, RECHARGE_READ, RECHARGE_POST, RECHARGE_ASK, RECHARGE_WAIT };
/* outbox.kind and .state; subject_seq is the statement's, the number of a due recharge, 0 of an alert. */
enum outbox_kind { OUTBOX_STATEMENT, OUTBOX_SOFT_LIMIT, OUTBOX_RECHARGE };
enum outbox_state { OUTBOX_PENDING, OUTBOX_DONE, OUTBOX_PARKED };
/* endpoints.state and deliveries.state. */
enum endpoint_state { ENDPOINT_ON, ENDPOINT_OFF, ENDPOINT_REMOVED };
enum delivery_state { DELIVERY_PENDING, DELIVERY_DONE, DELIVERY_FAILED };

#define COMMAND_NO_LIMIT (-1) /* of limits that a member or an account need not have */

/* The webhook event that a command comes from.  It is noted in the same transaction, and a repeated one
 * changes nothing.  A command without an event (id NULL) has the same effect. */
struct command_event {
	const char *id, *type, *body; /* body: kept while the event is parked */
	const char *subject;          /* the payment's id that a parked event waits for; "" when none */
	enum event_provider provider;
	int64_t created_at_us; /* the sender's clock */
};

struct command_labels { /* "" when not given */
	const char *conversation_id, *message_id, *metadata;
};

/* A use of a grace that is booked afterwards; serial 0: none.  micros: as the place counted it.  price_version: of the
 * hold that the place counted by; 0: today's. */
struct command_grace {
	int64_t serial, ends_at_us, price_version;
	micros micros;
};

/* The grace of an AUTHORIZE; serial 0: none. */
struct answer_grace {
	int64_t serial, ends_at_us, left_us; /* left_us: until ends_at_us */
	micros limit_micros, booked_micros;
};

struct answer {
	enum outcome outcome;
	bool replayed;
	bool absent; /* TOUCH of an account that does not exist; nothing was made */
	enum account_unit unit;
	enum account_mode mode;
	micros balance_micros, available_micros;
	micros amount_micros;  /* reserved, cost, or the transaction's amount */
	micros needed_micros;  /* of a 402, and of CHECK */
	enum limit_kind limit; /* of a 402 */
	micros limit_micros, used_micros;
	int64_t resets_at_us;
	int64_t seq; /* of the hold, usage or transaction */
	int choice;  /* index of the model in authorize.models */
	enum hold_source source;
	char provider[PRICE_PROVIDER_MAX];
	int64_t max_output_tokens, price_version, expires_at_us;
	enum hold_state hold_state; /* of a repeated AUTHORIZE */
	struct answer_grace grace;
	enum settlement settlement;
	struct counts counts;                 /* of a usage, as charged */
	bool incomplete;                      /* another price stands in for one that the list does not have */
	const char *field;                    /* of INVALID_REQUEST: a literal */
	char item[PRICE_ITEM_MAX];            /* of EXTEND: the model or action held for */
	enum event_state event_state;         /* of command.event, after the command */
	const char *note;                     /* why the event was ignored or parked: a literal, "" when applied */
	bool credited, first_payment;         /* of PAYMENT */
	bool of_member;                       /* limit is the member's own, not the account's */
	int64_t amount_minor;                 /* of STATEMENT and STATEMENT_BEGIN, in the currency's smallest unit */
	enum statement_state statement_state; /* of the STATEMENT commands, after them */
	bool stale;                           /* of STATEMENT_BEGIN: its invoice says more than is still owed */
	enum recharge_step recharge_step;     /* of RECHARGE_BEGIN and RECHARGE_NOTE */
	int64_t wait_us;                      /* of RECHARGE_BEGIN with RECHARGE_WAIT */
};

struct command {
	enum command_kind kind;
	struct account_key account;
	const char *account_id; /* the application's; NULL where a hold's id named the account */
	const char *member;     /* "" when none */
	bool by_customer;       /* the member itself, or the account's owner, asks: not the application for it */
	int64_t hold_seq;       /* for NEEDS_HOLD */
	int64_t topup_seq;      /* for NEEDS_TOPUP: the order, of any kind; for NEEDS_PERIOD: the period */
	enum payment_kind payment_kind; /* the kind of object that topup_seq numbers */
	int64_t statement_seq;          /* for NEEDS_STATEMENT */
	const char *payment_id;         /* for NEEDS_PAYMENT: Stripe's payment intent, "" when not known */
	const char *object_id;          /* for NEEDS_OBJECT: Stripe's refund, dispute or subscription */
	struct command_event event;     /* event.id NULL: none */
	const char *request_id;         /* NULL: cannot be repeated */
	unsigned char request_key[ID_KEY_BYTES], fingerprint[ID_KEY_BYTES]; /* made by ledger_submit */
	unsigned char event_key[ID_KEY_BYTES], subject_key[ID_KEY_BYTES];   /* made by ledger_submit */
	unsigned char payment_key[ID_KEY_BYTES], object_key[ID_KEY_BYTES];  /* made by ledger_submit */
	union {
		struct {
			const char *models[COMMAND_MODELS_MAX];
			int model_count; /* 0: an action */
			const char *action;
			int64_t quantity, input_tokens, max_output_tokens, fit_minimum;
			bool fit;
			unsigned byok;        /* bits of provider_bit(); joined with the account's */
			struct counts counts; /* bounds beside the tokens, 0: not said */
			enum service_tier tier;
			const char *variant; /* "" when none */
			int64_t ttl_us;
			struct command_labels labels;
			const char *place; /* that asks for a grace, or used one; NULL: none */
			struct command_grace used;
		} authorize;
		struct {
			bool has_usage; /* something was counted */
			bool no_input;  /* usage.h */
			bool zero;      /* usage.h */
			int64_t rest;   /* usage.h */
			struct counts counts;
			int tier;            /* enum service_tier as served; -1: as asked */
			const char *variant; /* "": as asked */
			bool has_cost;       /* the provider says what it charges */
			int64_t cost_pico;   /* that, in pico-dollars */
			enum settle_outcome outcome;
			const char *message_id; /* "" when none */
		} settle;
		struct {
			int64_t ttl_us, max_output_tokens;
		} extend; /* 0: leave */
		struct {
			const char *action;
			int64_t quantity;
			struct command_labels labels;
		} charge;
		struct {
			const char *model;  /* "": the action, or any balance at all */
			const char *action; /* a quantity of one is checked; NULL: no action */
			int64_t input_tokens, max_output_tokens;
		} check;
		struct {
			enum transaction_type type;
			micros amount_micros;
			int64_t expires_at_us; /* 0: never */
			int64_t priority;      /* -1: the type's own */
			const char *description, *reference, *actor, *metadata;
		} transaction;
		struct {
			bool set_mode, set_unit, set_hard_limit, set_soft_limit, set_byok, set_status;
			enum account_mode mode;
			enum account_unit unit;
			enum account_status status;
			micros hard_limit_micros, soft_limit_micros;
			unsigned byok;
			const char *email, *name, *locale, *time_zone; /* NULL: leave */
			const struct zone *zone; /* of time_zone, NULL if that is no zone; made by ledger_submit */
			const char *plan;        /* NULL: leave; "": end the plan */
			bool set_daily_limit, set_monthly_limit;
			micros daily_limit_micros, monthly_limit_micros; /* or COMMAND_NO_LIMIT */
			/* With a limit: the account's use so far, of today and of this month. */
			micros day_micros, month_micros;
			const char *campaign; /* an address has had its bonus if the account has; NULL: none */
			/* Made by ledger_submit with identity_claim; has_claims: both are there, else neither. */
			unsigned char account_claim[ID_KEY_BYTES], email_claim[ID_KEY_BYTES];
			bool has_claims;
		} account_change;
		/* must_exist: NOT_FOUND where the person is no member.  Without must_exist it joins. */
		struct {
			bool remove, must_exist, set_role, set_limit, set_daily_limit, set_monthly_limit;
			int64_t role; /* enum member_role */
			/* Each may be COMMAND_NO_LIMIT.  limit_micros is for the plan's period, or for the month. */
			micros limit_micros;
			micros daily_limit_micros, monthly_limit_micros;
		} member_change;
		struct {
			bool create;
		} touch; /* create: make it when absent */
		/* count < 0: the configured threshold */
		struct {
			micros thresholds[ALERT_THRESHOLDS_MAX];
			int count;
			int64_t percents[ALERT_PERCENTS_MAX]; /* of a plan's credits */
			int percent_count;
			const char *addresses, *language; /* as profiles has them */
		} alerts;
		/* Opens an order.  answer.seq is its number; id_public_format makes its name towards Stripe. */
		struct {
			int64_t amount_minor; /* in the currency's smallest unit */
			micros money_micros;  /* the same in micros of the currency */
			const char *currency; /* lower case, as Stripe writes it */
			bool livemode;
			const char *session_key;  /* both are Idempotency-Keys, random, kept before their first use */
			const char *customer_key; /* taken only if the account has neither customer nor a fresh key */
			bool save_card;           /* for charges without the customer */
		} topup;
		/* Stripe's answer about the order; NULL: leave.  A customer that is there stays, but for the
		 * one of gone_id ("" or NULL: none), which Stripe does not know any more. */
		struct {
			const char *customer_id, *session_id, *gone_id;
		} topup_note;
		/* The known facts of an order's payment.  TOPUP_PAID credits, once. */
		struct {
			enum topup_state state;
			int64_t amount_minor;
			const char *currency, *customer_id, *session_id; /* "" when not said */
			bool livemode;
			bool named; /* the order is named by metadata, which need the secret key */
		} payment;
		/* A refund as it is now.  object_id "": amount_minor is the sum of all refunds of the charge. */
		struct {
			enum refund_status status;
			int64_t amount_minor;
			const char *currency;
			bool livemode;
		} refund;
		struct {
			bool withdrawn, reinstated;
			int64_t amount_minor;
			const char *currency;
			bool livemode;
		} dispute;
		struct {
			const char *customer_id, *status, *price_id, *plan;
			bool live;                                    /* the plan is in force */
			bool ends;                                    /* with the period that it is in */
			bool changed;                                 /* its price, by this event */
			int rank;                                     /* among events of the same second */
			int64_t anchor_at_us;                         /* the time from which Stripe counts its months */
			int64_t trial_end_us;                         /* 0: no trial */
			int64_t period_start_at_us, period_end_at_us; /* Stripe's; 0: not said */
		} subscription;
		/* A paid invoice of the subscription object_id pays for a plan from start to end; topup_seq is
		 * command_period_seq of the invoice. */
		struct {
			const char *customer_id, *invoice_id, *currency;
			const char *plan;       /* "": its price is no plan's */
			const char *instead_of; /* the plan that is replaced within a period; "": none */
			int64_t start_us, end_us;
			int64_t amount_minor; /* its price; refunds are parts of it */
			bool livemode;
			bool free; /* nothing was paid for the period */
		} period;
		/* BONUS and SIGNUP.  SIGNUP is the issuer's word that a person signed up: it makes the account,
		 * keeps e-mail and name, and gives the bonus if it may. */
		struct {
			const char *campaign;
			micros amount_micros, cap_micros; /* amount 0: no bonus; cap 0: none */
			enum account_unit unit; /* of accounts that get it, and of an account that SIGNUP makes */
			bool after_payment, needs_email;
			const char *email;         /* the account's, "" when none; SIGNUP: verified, to be kept */
			const char *person, *name; /* the issuer's id for the person; "" when not known */
			const char *description;
			/* Made by ledger_submit with identity_claim: */
			unsigned char campaign_key[ID_KEY_BYTES], claim_key[COMMAND_CLAIMS_MAX][ID_KEY_BYTES];
			int claim_kind[COMMAND_CLAIMS_MAX], claim_count; /* enum claim_kind */
		} bonus;
		struct {
			const char *code; /* in normal form, code.h */
			const char *description;
			int64_t guesses_max;                  /* wrong codes within an hour */
			unsigned char code_key[ID_KEY_BYTES]; /* made by ledger_submit */
		} redeem;
		struct {
			struct account_key referrer;
			bool same_person;       /* as far as the application knows */
			micros reward_micros;   /* for each of the two accounts, once the referred one has paid */
			enum account_unit unit; /* of accounts that get the reward */
			int64_t guesses_max;
		} refer;
		/* STATEMENT takes nothing: the debt that is not yet stated becomes a statement.  answer.seq is its
		 * number, 0 when nothing is owed.  STATEMENT_BEGIN comes before the invoice is made and answers the
		 * amount to be charged, or VOID; customer_key is as that of TOPUP. */
		struct {
			const char *customer_key;
		} statement_begin;
		/* Stripe's answer; NULL: leave.  customer_id and gone_id are as those of TOPUP_NOTE.  voided: the
		 * invoice is void, and another may be made.  failure: Stripe's code for a declined charge, the
		 * attempt-th (from 0) of this statement.  payment_id: a payment of that invoice. */
		struct {
			const char *customer_id, *gone_id, *invoice_id, *invoice_url, *failure;
			bool livemode, voided;
			int64_t attempt;
		} statement_note;
		/* The invoice of the statement is paid; that counts once. */
		struct {
			int64_t amount_minor;
			const char *currency, *invoice_id;
			bool livemode;
		} statement_paid;
		/* Settings of auto-recharge; enabled false: only switched off.  Amounts in micros of the currency.
		 * version NULL: no consent is given.  locale, text: of the terms as they were shown. */
		struct {
			bool enabled;
			micros below_micros; /* of the account's unit */
			micros charge_micros, cap_micros;
			const char *version, *locale, *text, *actor, *address;
		} recharge;
		/* A due recharge, or the one that is under way (topup_seq, 0: none known).  session_key is taken for a
		 * new order. */
		struct {
			int64_t number; /* outbox.subject_seq */
			const char *session_key;
			bool livemode;
		} recharge_begin;
		/* The card is chosen, and the payment is about to be asked for. */
		struct {
			const char *card;
		} recharge_note;
		/* The pending order ends without money.  code: the bank's; "": the payment was never made.  refused: by
		 * Stripe, and not by a bank. */
		struct {
			const char *code;
			bool refused;
		} recharge_end;
		/* Looks whether a charge is due that no task is left for.  card_changed: ends a pause for the card. */
		struct {
			bool card_changed;
		} recharge_look;
		/* Only the event, which is noted with this state. */
		struct {
			enum event_state state;
			const char *note;
		} event_only;
	};
	struct answer answer;
};

/* Fills in the derived fields: the keys, "" for NULL among the ids, and the fingerprint.  The fingerprint is a digest
 * of everything that makes two commands the same request.  ledger_submit calls command_prepare. */
void command_prepare(struct command *c);

/* The key under which a webhook event is noted. */
void command_event_key(enum event_provider provider, const char *id, unsigned char key[ID_KEY_BYTES]);

/* The number of the period that an invoice pays for: 63 bits of a digest of the invoice's id. */
int64_t command_period_seq(const char *invoice_id);

/* The bit of a provider for which a customer may have its own key: "anthropic", "openai", …; 0 when unknown. */
unsigned provider_bit(const char *provider);
const char *provider_name(unsigned bit);
/* The provider that a model's name gives away ("claude-…"), "" when none. */
const char *provider_of_model(const char *model);

#endif
