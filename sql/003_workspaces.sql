-- octroi, schema version 3: workspaces.  Plans and their monthly allowances, members' limits, statements, outbox.
-- Every statement may be run again: an interrupted file is applied from its beginning.

-- 1: the account has a row in workspaces.
ALTER TABLE accounts ADD COLUMN IF NOT EXISTS workspace TINYINT NOT NULL DEFAULT 0;

-- What an account has beside a balance: a month in its time zone, a plan, people, limits, statements.  A limit
-- of -1 is none.  ..._until_us is the end of the window that the sum beside it counts.
CREATE TABLE IF NOT EXISTS workspaces (
  account_id BINARY(16) NOT NULL PRIMARY KEY,
  time_zone VARCHAR(64) NOT NULL DEFAULT '',
  plan VARCHAR(64) NOT NULL DEFAULT '',
  plan_version BIGINT NOT NULL DEFAULT 0,
  changing TINYINT NOT NULL DEFAULT 0,
  next_plan VARCHAR(64) NOT NULL DEFAULT '',
  anchor_local_us BIGINT NOT NULL DEFAULT 0,
  period_index BIGINT NOT NULL DEFAULT 0,
  period_start_us BIGINT NOT NULL DEFAULT 0,
  period_end_us BIGINT NOT NULL DEFAULT 0,
  granted_micros BIGINT NOT NULL DEFAULT 0,
  carried_micros BIGINT NOT NULL DEFAULT 0,
  reserved_micros BIGINT NOT NULL DEFAULT 0,
  managers BIGINT NOT NULL DEFAULT 0,
  members BIGINT NOT NULL DEFAULT 0,
  manager_seats BIGINT NOT NULL DEFAULT 0,
  member_seats BIGINT NOT NULL DEFAULT 0,
  allowance_seq BIGINT NOT NULL DEFAULT 0,
  daily_limit_micros BIGINT NOT NULL DEFAULT -1,
  monthly_limit_micros BIGINT NOT NULL DEFAULT -1,
  day_until_us BIGINT NOT NULL DEFAULT 0,
  day_micros BIGINT NOT NULL DEFAULT 0,
  month_until_us BIGINT NOT NULL DEFAULT 0,
  month_micros BIGINT NOT NULL DEFAULT 0,
  statement_seq BIGINT NOT NULL DEFAULT 0,
  statement_from_us BIGINT NOT NULL DEFAULT 0,
  statement_at_us BIGINT NOT NULL DEFAULT 0,
  stated_micros BIGINT NOT NULL DEFAULT 0,
  failed_statements BIGINT NOT NULL DEFAULT 0,
  past_due_at_us BIGINT NOT NULL DEFAULT 0,
  suspend_at_us BIGINT NOT NULL DEFAULT 0,
  soft_alert_at_us BIGINT NOT NULL DEFAULT 0,
  outbox_seq BIGINT NOT NULL DEFAULT 0,
  KEY plan (plan)
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin;

ALTER TABLE members
  ADD COLUMN IF NOT EXISTS quota_micros BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS seat_period_us BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS limit_micros BIGINT NOT NULL DEFAULT -1,
  ADD COLUMN IF NOT EXISTS daily_limit_micros BIGINT NOT NULL DEFAULT -1,
  ADD COLUMN IF NOT EXISTS monthly_limit_micros BIGINT NOT NULL DEFAULT -1,
  ADD COLUMN IF NOT EXISTS from_seq BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS held_micros BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS period_until_us BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS period_micros BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS day_until_us BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS day_micros BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS month_until_us BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS month_micros BIGINT NOT NULL DEFAULT 0;

-- Plans.  A version is a price version, so that whoever reads prices anew reads plans too.  A row never changes.
-- ..._micros are of the plan's unit, fee_minor of the currency's smallest unit; actions: {"name": "credits"} as
-- JSON, models: ["name"], [] for all.
CREATE TABLE IF NOT EXISTS plans (
  name VARCHAR(64) NOT NULL,
  version BIGINT NOT NULL,
  title VARCHAR(100) NOT NULL DEFAULT '',
  unit TINYINT NOT NULL DEFAULT 1,
  scope TINYINT NOT NULL DEFAULT 0,
  pool_micros BIGINT NOT NULL DEFAULT 0,
  manager_micros BIGINT NOT NULL DEFAULT 0,
  member_micros BIGINT NOT NULL DEFAULT 0,
  managers_to BIGINT NOT NULL DEFAULT 1,
  seats_from BIGINT NOT NULL DEFAULT 0,
  seats_to BIGINT NOT NULL DEFAULT 0,
  rollover_micros BIGINT NOT NULL DEFAULT 0,
  expected_manager_micros BIGINT NOT NULL DEFAULT 0,
  expected_member_micros BIGINT NOT NULL DEFAULT 0,
  fee_minor BIGINT NOT NULL DEFAULT 0,
  actions TEXT NOT NULL,
  models TEXT NOT NULL,
  PRIMARY KEY (name, version)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Every allowance that was given: one per account, plan, period and reason (enum allowance_reason; member where
-- it is a seat's; upgrade_seq is an upgrade's own seq, for there may be more of them).  Amount 0: nothing was due, and
-- that is said.
CREATE TABLE IF NOT EXISTS allowances (
  account_id BINARY(16) NOT NULL,
  seq BIGINT NOT NULL,
  plan VARCHAR(64) NOT NULL DEFAULT '',
  plan_version BIGINT NOT NULL DEFAULT 0,
  period_start_us BIGINT NOT NULL DEFAULT 0,
  period_end_us BIGINT NOT NULL DEFAULT 0,
  reason TINYINT NOT NULL DEFAULT 0,
  member VARCHAR(128) NOT NULL DEFAULT '',
  upgrade_seq BIGINT NOT NULL DEFAULT 0,
  amount_micros BIGINT NOT NULL DEFAULT 0,
  grant_seq BIGINT NOT NULL DEFAULT 0,
  transaction_seq BIGINT NOT NULL DEFAULT 0,
  created_at_us BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (account_id, seq),
  UNIQUE KEY once (account_id, period_start_us, plan, reason, member, upgrade_seq)
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin;

-- What a postpaid month came to, or a debt that is to be paid now.  ..._minor in the smallest unit of currency.
CREATE TABLE IF NOT EXISTS statements (
  account_id BINARY(16) NOT NULL,
  seq BIGINT NOT NULL,
  state TINYINT NOT NULL DEFAULT 0,
  from_us BIGINT NOT NULL DEFAULT 0,
  to_us BIGINT NOT NULL DEFAULT 0,
  amount_micros BIGINT NOT NULL DEFAULT 0,
  amount_minor BIGINT NOT NULL DEFAULT 0,
  currency VARCHAR(3) NOT NULL DEFAULT '',
  livemode TINYINT NOT NULL DEFAULT 0,
  invoice_id VARCHAR(255) NOT NULL DEFAULT '',
  invoice_url VARCHAR(1024) NOT NULL DEFAULT '',
  failures BIGINT NOT NULL DEFAULT 0,
  failure VARCHAR(64) NOT NULL DEFAULT '',
  transaction_seq BIGINT NOT NULL DEFAULT 0,
  created_at_us BIGINT NOT NULL DEFAULT 0,
  paid_at_us BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (account_id, seq),
  KEY state (state, created_at_us)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What is to be done outside because of a transaction, written in it.  A worker claims a row, does it, and says
-- done; one that dies lets the claim run out.  Parked: it gave up, and a person is to look.
CREATE TABLE IF NOT EXISTS outbox (
  account_id BINARY(16) NOT NULL,
  seq BIGINT NOT NULL,
  kind TINYINT NOT NULL DEFAULT 0,
  subject_seq BIGINT NOT NULL DEFAULT 0,
  state TINYINT NOT NULL DEFAULT 0,
  attempts BIGINT NOT NULL DEFAULT 0,
  next_at_us BIGINT NOT NULL DEFAULT 0,
  claimed_until_us BIGINT NOT NULL DEFAULT 0,
  error VARCHAR(255) NOT NULL DEFAULT '',
  created_at_us BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (account_id, seq),
  KEY due (state, next_at_us)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The platform's own keys at its providers, as the last probe found them.  Who probes claims the row, for a while.
CREATE TABLE IF NOT EXISTS probes (
  provider VARCHAR(64) NOT NULL PRIMARY KEY,
  state VARCHAR(32) NOT NULL DEFAULT '',
  http_status BIGINT NOT NULL DEFAULT 0,
  detail VARCHAR(255) NOT NULL DEFAULT '',
  latency_ms BIGINT NOT NULL DEFAULT 0,
  checked_at_us BIGINT NOT NULL DEFAULT 0,
  changed_at_us BIGINT NOT NULL DEFAULT 0,
  claimed_until_us BIGINT NOT NULL DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Accounts with members and postpaid ones have a workspace; the latter get the day of their first statement when
-- next touched.  Of what members hold only holds from now on are counted (from_seq).
UPDATE members m JOIN accounts a ON a.id = m.account_id SET m.from_seq = a.hold_seq WHERE a.workspace = 0;
INSERT IGNORE INTO workspaces (account_id, time_zone, managers, members)
  SELECT m.account_id, COALESCE(MAX(p.time_zone), ''), SUM(m.role = 1), SUM(m.role = 0)
  FROM members m LEFT JOIN profiles p ON p.account_id = m.account_id WHERE m.removed_at_us = 0 GROUP BY m.account_id;
INSERT IGNORE INTO workspaces (account_id, time_zone)
  SELECT a.id, COALESCE(p.time_zone, '') FROM accounts a LEFT JOIN profiles p ON p.account_id = a.id
  WHERE a.mode = 1 OR a.id IN (SELECT account_id FROM members);
UPDATE accounts SET workspace = 1, due_at_us = 0 WHERE workspace = 0 AND id IN (SELECT account_id FROM workspaces);

INSERT INTO schema_versions (version) VALUES (3);
