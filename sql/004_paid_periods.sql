-- octroi, schema version 4: periods that are paid for, payments of statements, bounded reads, sealed usages.
-- Every statement may be run again: an interrupted file is applied from its beginning.

-- ---- reads ----------------------------------------------------------------------------------------------

-- Sums of an account's time read the usages of that time.
ALTER TABLE usages ADD INDEX IF NOT EXISTS ended (account_id, ended_at_us);

-- ---- plans and subscriptions ----------------------------------------------------------------------------

-- ---- payments, statements, orders -----------------------------------------------------------------------

-- What was paid for, enum payment_kind; topup_seq is the number of that top-up, statement or period.
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

-- Of the debt: what was taken back of paid statements and nobody has paid since; what allowances do not pay.
ALTER TABLE workspaces
  ADD COLUMN IF NOT EXISTS overdue_micros BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS arrears_micros BIGINT NOT NULL DEFAULT 0;

-- ---- guard ----------------------------------------------------------------------------------------------

-- What an expired hold was charged, and where it was counted: so that what is too much of it, once it is settled late,
-- goes back to the grants that paid and out of the windows that counted it.
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

-- ---- end ------------------------------------------------------------------------------------------------

INSERT INTO schema_versions (version) VALUES (4);
