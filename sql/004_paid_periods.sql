-- octroi, schema version 4: periods that are paid for, payments of statements, bounded reads, recorded usages.
-- Every statement may be run again: an interrupted file is applied from its beginning.

-- ---- reads ----------------------------------------------------------------------------------------------

-- Sums of an account's time read the usages of that time.
ALTER TABLE usages ADD INDEX IF NOT EXISTS ended (account_id, ended_at_us);

-- ---- plans and subscriptions ----------------------------------------------------------------------------

-- The plan that a paid invoice of a subscription pays for, alone or instead of a smaller one (instead_of), from start_us
-- to end_us; the credits that it gave, and those taken back.  seq is made of the invoice's id.
CREATE TABLE IF NOT EXISTS paid_periods (
  account_id BINARY(16) NOT NULL,
  seq BIGINT NOT NULL,
  subscription_key BINARY(16) NOT NULL DEFAULT '',
  invoice_id VARCHAR(255) NOT NULL DEFAULT '',
  payment_id VARCHAR(255) NOT NULL DEFAULT '',
  plan VARCHAR(64) NOT NULL DEFAULT '',
  instead_of VARCHAR(64) NOT NULL DEFAULT '',
  start_us BIGINT NOT NULL DEFAULT 0,
  end_us BIGINT NOT NULL DEFAULT 0,
  amount_minor BIGINT NOT NULL DEFAULT 0,
  currency VARCHAR(3) NOT NULL DEFAULT '',
  livemode TINYINT NOT NULL DEFAULT 0,
  running TINYINT NOT NULL DEFAULT 0,
  grant_seq BIGINT NOT NULL DEFAULT 0,
  granted_micros BIGINT NOT NULL DEFAULT 0,
  returned_micros BIGINT NOT NULL DEFAULT 0,
  lapsed_micros BIGINT NOT NULL DEFAULT 0,
  taken_micros BIGINT NOT NULL DEFAULT 0,
  owed_micros BIGINT NOT NULL DEFAULT 0,
  refunds_live_minor BIGINT NOT NULL DEFAULT 0,
  refunds_known_minor BIGINT NOT NULL DEFAULT 0,
  charge_refunded_minor BIGINT NOT NULL DEFAULT 0,
  disputes_minor BIGINT NOT NULL DEFAULT 0,
  created_at_us BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (account_id, seq),
  KEY seq (seq)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The invoice that an allowance comes from; 0: none, a person set the plan.
ALTER TABLE allowances ADD COLUMN IF NOT EXISTS paid_seq BIGINT NOT NULL DEFAULT 0;

-- subscribed: the plan is a subscription's, and a period begins when it is paid.  What the running period gives is
-- earned_micros until rate_from_us, and from then on rate_micros for each whole_us (the month that it is part of).
ALTER TABLE workspaces
  ADD COLUMN IF NOT EXISTS subscribed TINYINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS rate_micros BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS rate_from_us BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS earned_micros BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS whole_us BIGINT NOT NULL DEFAULT 0;

-- Stripe's anchor of its months, the end of its trial, the event from which on its plan is this, and who pays it.
ALTER TABLE subscriptions
  ADD COLUMN IF NOT EXISTS anchor_at_us BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS trial_end_us BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS plan_at_us BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS customer_id VARCHAR(255) NOT NULL DEFAULT '';

-- A plan that a subscription brought keeps the period that runs; the next one begins when it is paid.
-- It is paid as far as Stripe said that its period goes, and at least until the end of that month.
UPDATE workspaces w JOIN billing b ON b.account_id = w.account_id
  SET w.subscribed = 1, w.rate_micros = w.granted_micros, w.rate_from_us = w.period_start_us,
    w.earned_micros = 0, w.whole_us = w.period_end_us - w.period_start_us
  WHERE w.subscribed = 0 AND w.plan <> '' AND w.period_end_us > w.period_start_us AND b.subscription_id <> ''
    AND b.subscription_live = 1 AND b.plan = w.plan
    AND EXISTS (SELECT 1 FROM subscriptions s WHERE s.account_id = b.account_id
      AND s.subscription_key = UNHEX(LEFT(SHA2(b.subscription_id, 256), 32)))
    AND NOT EXISTS (SELECT 1 FROM schema_versions v WHERE v.version >= 4);

INSERT IGNORE INTO paid_periods (account_id, seq, subscription_key, plan, start_us, end_us, running, granted_micros,
    created_at_us)
  SELECT w.account_id, CAST(CONV(LEFT(SHA2(b.subscription_id, 256), 15), 16, 10) AS SIGNED), s.subscription_key, w.plan,
    w.period_start_us, IF(s.status IN ('active', 'trialing'), GREATEST(w.period_end_us, s.period_end_at_us),
      w.period_end_us), 1, w.granted_micros, w.period_start_us
  FROM workspaces w JOIN billing b ON b.account_id = w.account_id
    JOIN subscriptions s ON s.account_id = b.account_id
      AND s.subscription_key = UNHEX(LEFT(SHA2(b.subscription_id, 256), 32))
  WHERE w.subscribed = 1 AND NOT EXISTS (SELECT 1 FROM schema_versions v WHERE v.version >= 4);

UPDATE allowances l JOIN workspaces w ON w.account_id = l.account_id AND w.period_start_us = l.period_start_us
    JOIN paid_periods p ON p.account_id = w.account_id AND p.invoice_id = ''
  SET l.paid_seq = p.seq
  WHERE w.subscribed = 1 AND l.reason <> 1 AND NOT EXISTS (SELECT 1 FROM schema_versions v WHERE v.version >= 4);

-- ---- payments, statements, orders -----------------------------------------------------------------------

-- The thing that was paid for, enum payment_kind; topup_seq is the number of that top-up, statement or period.
ALTER TABLE payments ADD COLUMN IF NOT EXISTS kind TINYINT NOT NULL DEFAULT 0;
ALTER TABLE refunds ADD COLUMN IF NOT EXISTS kind TINYINT NOT NULL DEFAULT 0;
ALTER TABLE disputes ADD COLUMN IF NOT EXISTS kind TINYINT NOT NULL DEFAULT 0;

-- The payment of a statement, the grant that it made, and what was refunded, disputed and taken back, as in topups.
-- invoice_id: Stripe tells of an invoice's payment by the invoice alone.
ALTER TABLE statements
  ADD COLUMN IF NOT EXISTS payment_id VARCHAR(255) NOT NULL DEFAULT '',
  ADD COLUMN IF NOT EXISTS grant_seq BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS refunds_live_minor BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS refunds_known_minor BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS charge_refunded_minor BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS disputes_minor BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS refunded_micros BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS disputed_micros BIGINT NOT NULL DEFAULT 0,
  ADD KEY IF NOT EXISTS invoice (invoice_id);
UPDATE statements s JOIN transactions x ON x.account_id = s.account_id AND x.seq = s.transaction_seq
  SET s.grant_seq = x.grant_seq WHERE s.state = 3 AND s.grant_seq = 0;

-- When each order that can still be paid lapses, in seconds since 1970, with commas; orders that are open, pending or
-- paid, which fix the account's unit.
ALTER TABLE billing
  ADD COLUMN IF NOT EXISTS open_orders VARCHAR(2047) NOT NULL DEFAULT '',
  ADD COLUMN IF NOT EXISTS orders_live BIGINT NOT NULL DEFAULT 0;
UPDATE billing b SET b.orders_live = (SELECT COUNT(*) FROM topups t WHERE t.account_id = b.account_id
  AND t.state IN (0, 1, 4));

-- The volume bonus that an order was promised, the grant and the transaction that gave it, and what was taken back of it.
ALTER TABLE topups
  ADD COLUMN IF NOT EXISTS bonus_micros BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS bonus_grant_seq BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS bonus_transaction_seq BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS bonus_returned_micros BIGINT NOT NULL DEFAULT 0;

-- Of the debt: what was taken back of paid statements and nobody has paid since; what allowances do not pay.
ALTER TABLE workspaces
  ADD COLUMN IF NOT EXISTS overdue_micros BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS arrears_micros BIGINT NOT NULL DEFAULT 0;

-- ---- alerts ---------------------------------------------------------------------------------------------

-- The number of the last alert, and each threshold of the balance with the number under which it is armed, negative once
-- it has fired: "7;0:1,2000000:-6", with "o" before it for thresholds of the account's own, and "%50:7,75:8" behind it for
-- those of a plan's credits; empty: nothing yet.
ALTER TABLE accounts
  ADD COLUMN IF NOT EXISTS alerts VARCHAR(400) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '';

-- While holds are open, a lower bound of the time at which the next one expires; not indexed, unlike due_at_us, which
-- is about everything else.  0 says that the bound is not known yet: the account is looked at when next touched.
ALTER TABLE accounts
  ADD COLUMN IF NOT EXISTS holds_due_at_us BIGINT NOT NULL DEFAULT 0;

-- A copy of the grant that is spent now, with its true rest, and the number of other grants with a rest.  seq is 0 if
-- the grants must be read to know, and -1 if nothing remains of any.  seq has no default on purpose: an octroi of an
-- older version, which knows nothing of the copy, can write no account any more.
ALTER TABLE accounts
  ADD COLUMN IF NOT EXISTS current_grant_seq BIGINT NOT NULL,
  ADD COLUMN IF NOT EXISTS current_type TINYINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS current_priority INT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS current_expires_at_us BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS current_amount_micros BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS current_remaining_micros BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS current_created_at_us BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS grants_beside INT NOT NULL DEFAULT 0;

-- The number of terms before the expiry of a grant (7 days, 1 day) that are behind: told, or not to be told.  Accounts of
-- before are looked at soon, so that their next term is known.
ALTER TABLE grants ADD COLUMN IF NOT EXISTS warned TINYINT NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN IF NOT EXISTS current_warned TINYINT NOT NULL DEFAULT 0;
UPDATE grants SET warned = (expires_at_us - created_at_us <= 604800000000) + (expires_at_us - created_at_us <= 86400000000)
  WHERE expires_at_us <> 0 AND remaining_micros > 0;
UPDATE accounts SET due_at_us = 0 WHERE current_grant_seq = 0 AND id IN
  (SELECT account_id FROM grants WHERE expires_at_us <> 0 AND remaining_micros > 0);

-- Open holds, one in each column: the columns of holds but the account's, each followed by a tab.  Holds without room lie
-- in holds, like those of before.
ALTER TABLE accounts
  ADD COLUMN IF NOT EXISTS hold_1 VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
  ADD COLUMN IF NOT EXISTS hold_2 VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
  ADD COLUMN IF NOT EXISTS hold_3 VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '';

-- News that an account is to be told, once: the transaction that crosses writes the row, and the key keeps a second one out.
-- told: it was handed on to the endpoints and the mail.  arming: of a grant that expires its seq, so many days before.
CREATE TABLE IF NOT EXISTS alerts (
  account_id BINARY(16) NOT NULL,
  seq BIGINT NOT NULL,
  kind TINYINT NOT NULL,
  threshold_micros BIGINT NOT NULL,
  arming BIGINT NOT NULL,
  limit_kind TINYINT NOT NULL DEFAULT 0,
  member VARCHAR(128) NOT NULL DEFAULT '',
  amount_micros BIGINT NOT NULL DEFAULT 0,
  balance_micros BIGINT NOT NULL,
  created_at_us BIGINT NOT NULL,
  told TINYINT NOT NULL DEFAULT 0,
  days TINYINT NOT NULL DEFAULT 0,
  threshold_percent TINYINT NOT NULL DEFAULT 0,
  expires_at_us BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (account_id, seq),
  UNIQUE KEY once (account_id, kind, threshold_micros, days, threshold_percent, arming),
  KEY created (created_at_us),
  KEY told (told, created_at_us)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Where alerts are mailed to, blank-separated; empty: to the account's e-mail address; "-": nowhere.  Their language, fr or
-- en; empty: the locale's.
ALTER TABLE profiles
  ADD COLUMN IF NOT EXISTS alert_addresses VARCHAR(1300) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  ADD COLUMN IF NOT EXISTS alert_language VARCHAR(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '';

-- Where alerts are posted (Standard Webhooks).  kinds: a bit for each kind of alert, 0 for all.  inside: the address may
-- be of this machine or of a private net.  old_secret signs too, until old_until_us.  failures: in a row; until
-- rest_until_us nothing is posted.
CREATE TABLE IF NOT EXISTS endpoints (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  url VARCHAR(1023) NOT NULL,
  label VARCHAR(128) NOT NULL DEFAULT '',
  kinds BIGINT NOT NULL DEFAULT 0,
  inside TINYINT NOT NULL DEFAULT 0,
  state TINYINT NOT NULL DEFAULT 0,
  reason VARCHAR(255) NOT NULL DEFAULT '',
  secret BINARY(32) NOT NULL,
  old_secret BINARY(32) NOT NULL DEFAULT '',
  old_until_us BIGINT NOT NULL DEFAULT 0,
  failures BIGINT NOT NULL DEFAULT 0,
  rest_until_us BIGINT NOT NULL DEFAULT 0,
  served_at_us BIGINT NOT NULL DEFAULT 0,
  created_at_us BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- An alert on its way to an endpoint, once each: claimed, repeated, and the last answer.
CREATE TABLE IF NOT EXISTS deliveries (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  endpoint_id BIGINT NOT NULL,
  account_id BINARY(16) NOT NULL,
  alert_seq BIGINT NOT NULL,
  state TINYINT NOT NULL DEFAULT 0,
  attempts BIGINT NOT NULL DEFAULT 0,
  next_at_us BIGINT NOT NULL DEFAULT 0,
  claimed_until_us BIGINT NOT NULL DEFAULT 0,
  status INT NOT NULL DEFAULT 0,
  error VARCHAR(255) NOT NULL DEFAULT '',
  took_us BIGINT NOT NULL DEFAULT 0,
  attempted_at_us BIGINT NOT NULL DEFAULT 0,
  created_at_us BIGINT NOT NULL DEFAULT 0,
  UNIQUE KEY once (endpoint_id, account_id, alert_seq),
  KEY due (endpoint_id, state, next_at_us)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- A mail of alerts of one kind: those above from_seq, up to upto_seq, which is set when it is first claimed, like its
-- addresses.  A bit of sent_mask for each address that has it, of dead_mask for each that never will.
CREATE TABLE IF NOT EXISTS mails (
  account_id BINARY(16) NOT NULL,
  kind TINYINT NOT NULL,
  number BIGINT NOT NULL,
  from_seq BIGINT NOT NULL,
  upto_seq BIGINT NOT NULL DEFAULT 0,
  addresses VARCHAR(1300) NOT NULL DEFAULT '',
  sent_mask BIGINT NOT NULL DEFAULT 0,
  dead_mask BIGINT NOT NULL DEFAULT 0,
  state TINYINT NOT NULL DEFAULT 0,
  attempts BIGINT NOT NULL DEFAULT 0,
  due_at_us BIGINT NOT NULL DEFAULT 0,
  next_at_us BIGINT NOT NULL DEFAULT 0,
  claimed_until_us BIGINT NOT NULL DEFAULT 0,
  error VARCHAR(255) NOT NULL DEFAULT '',
  created_at_us BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (account_id, kind, number),
  KEY due (state, next_at_us)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- ---- auto-recharge --------------------------------------------------------------------------------------

-- Behind "!" in accounts.alerts: the balance below which the account is recharged, armed like a threshold.

-- An account's auto-recharge: settings, the consent that they need, the order that is under way, and the sums of the
-- month and the day.  ..._micros are of the currency, but below_micros is of the account's unit.
CREATE TABLE IF NOT EXISTS recharges (
  account_id BINARY(16) NOT NULL PRIMARY KEY,
  state TINYINT NOT NULL DEFAULT 0,
  reason TINYINT NOT NULL DEFAULT 0,
  unit TINYINT NOT NULL DEFAULT 0,
  below_micros BIGINT NOT NULL DEFAULT 0,
  charge_micros BIGINT NOT NULL DEFAULT 0,
  cap_micros BIGINT NOT NULL DEFAULT 0,
  currency VARCHAR(3) NOT NULL DEFAULT '',
  consent_seq BIGINT NOT NULL DEFAULT 0,
  pending_seq BIGINT NOT NULL DEFAULT 0,
  pending_micros BIGINT NOT NULL DEFAULT 0,
  card VARCHAR(255) NOT NULL DEFAULT '',
  begun_at_us BIGINT NOT NULL DEFAULT 0,
  next_at_us BIGINT NOT NULL DEFAULT 0,
  failures BIGINT NOT NULL DEFAULT 0,
  code VARCHAR(64) NOT NULL DEFAULT '',
  code_count BIGINT NOT NULL DEFAULT 0,
  month_until_us BIGINT NOT NULL DEFAULT 0,
  month_micros BIGINT NOT NULL DEFAULT 0,
  day_until_us BIGINT NOT NULL DEFAULT 0,
  day_count BIGINT NOT NULL DEFAULT 0,
  created_at_us BIGINT NOT NULL DEFAULT 0,
  KEY state (state),
  KEY pending (pending_seq)
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin;

-- The amount that one place may use for an account while octroi does not answer: limit - booked, which only ever grow
-- while the place stays.
CREATE TABLE IF NOT EXISTS graces (
  account_id BINARY(16) NOT NULL PRIMARY KEY,
  place VARCHAR(32) NOT NULL,
  serial BIGINT NOT NULL,
  limit_micros BIGINT NOT NULL,
  booked_micros BIGINT NOT NULL,
  granted_at_us BIGINT NOT NULL,
  ends_at_us BIGINT NOT NULL,
  KEY ends (ends_at_us)
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin;

-- Each consent to auto-recharge, with the text that was agreed to and the settings that it covers.
CREATE TABLE IF NOT EXISTS recharge_consents (
  account_id BINARY(16) NOT NULL,
  seq BIGINT NOT NULL,
  version VARCHAR(32) NOT NULL,
  locale VARCHAR(2) NOT NULL,
  terms VARCHAR(2000) NOT NULL,
  unit TINYINT NOT NULL,
  below_micros BIGINT NOT NULL,
  charge_micros BIGINT NOT NULL,
  cap_micros BIGINT NOT NULL,
  currency VARCHAR(3) NOT NULL,
  actor VARCHAR(200) NOT NULL,
  address VARCHAR(64) NOT NULL DEFAULT '',
  created_at_us BIGINT NOT NULL,
  PRIMARY KEY (account_id, seq)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- consent_seq: the consent to this charge by auto-recharge; 0: the customer's own order.  save_card: the card is kept for
-- such charges.
ALTER TABLE topups
  ADD COLUMN IF NOT EXISTS consent_seq BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS save_card TINYINT NOT NULL DEFAULT 0;

-- ---- the operator's alerts -------------------------------------------------------------------------------

-- Something that the operator is told, once: written with its cause, and the key keeps a second one out.  ended_at_us 0: the
-- condition lasts, and no other one of its kind and subject is told meanwhile.
CREATE TABLE IF NOT EXISTS operator_alerts (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  kind TINYINT NOT NULL,
  subject VARCHAR(128) NOT NULL,
  arming BIGINT NOT NULL,
  detail VARCHAR(255) NOT NULL DEFAULT '',
  value BIGINT NOT NULL DEFAULT 0,
  bound BIGINT NOT NULL DEFAULT 0,
  ended_at_us BIGINT NOT NULL DEFAULT 0,
  told TINYINT NOT NULL DEFAULT 0,
  created_at_us BIGINT NOT NULL,
  UNIQUE KEY once (kind, subject, arming),
  KEY told (told, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Figures of an hour, in each unit: requests that ended, holds that expired, settlements, and those by the estimate.
CREATE TABLE IF NOT EXISTS hours (
  from_us BIGINT NOT NULL,
  unit TINYINT NOT NULL,
  ended BIGINT NOT NULL,
  expired BIGINT NOT NULL,
  settled BIGINT NOT NULL,
  estimated BIGINT NOT NULL,
  cost_micros BIGINT NOT NULL,
  PRIMARY KEY (from_us, unit)
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin;

-- ---- guard ----------------------------------------------------------------------------------------------

-- The charge of an expired hold, and the windows that counted it.  A late settlement that costs less gives the rest back
-- to the grants that paid, and takes it out of those windows.
CREATE TABLE IF NOT EXISTS captures (
  account_id BINARY(16) NOT NULL,
  seq BIGINT NOT NULL,
  amount_micros BIGINT NOT NULL,
  debt_micros BIGINT NOT NULL DEFAULT 0,
  entry_first BIGINT NOT NULL,
  entry_last BIGINT NOT NULL,
  period_end_us BIGINT NOT NULL DEFAULT 0,
  day_until_us BIGINT NOT NULL DEFAULT 0,
  month_until_us BIGINT NOT NULL DEFAULT 0,
  member_period_until_us BIGINT NOT NULL DEFAULT 0,
  member_day_until_us BIGINT NOT NULL DEFAULT 0,
  member_month_until_us BIGINT NOT NULL DEFAULT 0,
  created_at_us BIGINT NOT NULL,
  PRIMARY KEY (account_id, seq)
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin;

-- ---- journal, bonuses -----------------------------------------------------------------------------------

-- The change of a usage's or a transaction's row (src/ledger/rows/record.h).  recorded: entries record this row; rows of
-- older versions are not recorded.
ALTER TABLE entries ADD COLUMN IF NOT EXISTS record BINARY(16) NOT NULL DEFAULT '';
ALTER TABLE usages ADD COLUMN IF NOT EXISTS recorded TINYINT NOT NULL DEFAULT 0;
ALTER TABLE transactions ADD COLUMN IF NOT EXISTS recorded TINYINT NOT NULL DEFAULT 0;

-- Secrets that every octroi on this database shares, made by the first that needs them.  referral: the key of referral
-- codes.  grace: the key of graces.
CREATE TABLE IF NOT EXISTS secrets (
  name VARCHAR(32) NOT NULL PRIMARY KEY,
  value BINARY(32) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin;

-- ---- prices ---------------------------------------------------------------------------------------------

-- A model's price by lines: JSON, a list of [dimension, service tier, above so many input tokens, variant, mantissa,
-- scale]; mantissa x 10^-scale are the dollars for one unit.  A row of before has `tiers` instead.
ALTER TABLE prices
  ADD COLUMN IF NOT EXISTS price_lines TEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '';

-- The service tier (enum service_tier), the variant, and the counts that have no column of their own: of a hold the
-- bounds, of a usage those that were charged, "name=count,name=count".  incomplete: another price stands in for one
-- that the list does not have.  reported: the cost is what the provider itself charges, with the margin.
ALTER TABLE holds
  ADD COLUMN IF NOT EXISTS service_tier TINYINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS variant VARCHAR(48) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  ADD COLUMN IF NOT EXISTS counts VARCHAR(1500) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '';
ALTER TABLE usages
  ADD COLUMN IF NOT EXISTS service_tier TINYINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS variant VARCHAR(48) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  ADD COLUMN IF NOT EXISTS counts VARCHAR(1500) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  ADD COLUMN IF NOT EXISTS incomplete TINYINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS reported TINYINT NOT NULL DEFAULT 0;

-- ---- keys -----------------------------------------------------------------------------------------------

-- A key of scope meter is bound to an account, and to a member of it unless member is empty.  0: it never expires.
ALTER TABLE api_keys
  ADD COLUMN IF NOT EXISTS account VARCHAR(128) NOT NULL DEFAULT '',
  ADD COLUMN IF NOT EXISTS member VARCHAR(128) NOT NULL DEFAULT '',
  ADD COLUMN IF NOT EXISTS expires_at_us BIGINT NOT NULL DEFAULT 0;

-- ---- end ------------------------------------------------------------------------------------------------

INSERT INTO schema_versions (version) VALUES (4);
