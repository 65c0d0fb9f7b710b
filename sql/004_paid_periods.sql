-- octroi, schema version 4: periods that are paid for, payments of statements, bounded reads, sealed usages.
-- Every statement may be run again: an interrupted file is applied from its beginning.

-- ---- reads ----------------------------------------------------------------------------------------------

-- Sums of an account's time read the usages of that time.
ALTER TABLE usages ADD INDEX IF NOT EXISTS ended (account_id, ended_at_us);

-- ---- plans and subscriptions ----------------------------------------------------------------------------

-- ---- payments, statements, orders -----------------------------------------------------------------------

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
