-- octroi, schema version 2: money in.  Orders, what Stripe said about them, webhooks.
-- Every statement may be run again: an interrupted file is applied from its beginning.

-- What is known of an account at Stripe.  topup_seq counts its orders.
CREATE TABLE IF NOT EXISTS billing (
  account_id BINARY(16) NOT NULL PRIMARY KEY,
  topup_seq BIGINT NOT NULL DEFAULT 0,
  paid_count BIGINT NOT NULL DEFAULT 0,
  first_paid_at_us BIGINT NOT NULL DEFAULT 0,
  customer_id VARCHAR(255) NOT NULL DEFAULT '',
  customer_key VARCHAR(64) NOT NULL DEFAULT '',
  customer_key_at_us BIGINT NOT NULL DEFAULT 0,
  plan VARCHAR(64) NOT NULL DEFAULT '',
  subscription_id VARCHAR(255) NOT NULL DEFAULT '',
  subscription_live TINYINT NOT NULL DEFAULT 0,
  subscription_at_us BIGINT NOT NULL DEFAULT 0,
  KEY customer (customer_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Orders.  ..._minor are in the smallest unit of the currency, as Stripe counts; ..._micros in the account's unit.
CREATE TABLE IF NOT EXISTS topups (
  account_id BINARY(16) NOT NULL,
  seq BIGINT NOT NULL,
  state TINYINT NOT NULL DEFAULT 0,
  unit TINYINT NOT NULL DEFAULT 0,
  amount_minor BIGINT NOT NULL DEFAULT 0,
  amount_micros BIGINT NOT NULL DEFAULT 0,
  currency VARCHAR(3) NOT NULL DEFAULT '',
  livemode TINYINT NOT NULL DEFAULT 0,
  session_key VARCHAR(64) NOT NULL DEFAULT '',
  session_id VARCHAR(255) NOT NULL DEFAULT '',
  payment_id VARCHAR(255) NOT NULL DEFAULT '',
  grant_seq BIGINT NOT NULL DEFAULT 0,
  transaction_seq BIGINT NOT NULL DEFAULT 0,
  refunds_live_minor BIGINT NOT NULL DEFAULT 0,
  refunds_known_minor BIGINT NOT NULL DEFAULT 0,
  charge_refunded_minor BIGINT NOT NULL DEFAULT 0,
  disputes_minor BIGINT NOT NULL DEFAULT 0,
  refunded_micros BIGINT NOT NULL DEFAULT 0,
  disputed_micros BIGINT NOT NULL DEFAULT 0,
  created_at_us BIGINT NOT NULL DEFAULT 0,
  paid_at_us BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (account_id, seq),
  KEY state (state, created_at_us)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Which order a payment intent belongs to: found by its key, for events that name nothing else.
CREATE TABLE IF NOT EXISTS payments (
  payment_key BINARY(16) NOT NULL PRIMARY KEY,
  payment_id VARCHAR(255) NOT NULL DEFAULT '',
  account_id BINARY(16) NOT NULL,
  topup_seq BIGINT NOT NULL DEFAULT 0,
  created_at_us BIGINT NOT NULL DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS refunds (
  account_id BINARY(16) NOT NULL,
  refund_key BINARY(16) NOT NULL,
  refund_id VARCHAR(255) NOT NULL DEFAULT '',
  topup_seq BIGINT NOT NULL DEFAULT 0,
  amount_minor BIGINT NOT NULL DEFAULT 0,
  status TINYINT NOT NULL DEFAULT 0,
  created_at_us BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (account_id, refund_key)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS disputes (
  account_id BINARY(16) NOT NULL,
  dispute_key BINARY(16) NOT NULL,
  dispute_id VARCHAR(255) NOT NULL DEFAULT '',
  topup_seq BIGINT NOT NULL DEFAULT 0,
  amount_minor BIGINT NOT NULL DEFAULT 0,
  withdrawn TINYINT NOT NULL DEFAULT 0,
  reinstated TINYINT NOT NULL DEFAULT 0,
  created_at_us BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (account_id, dispute_key)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS subscriptions (
  account_id BINARY(16) NOT NULL,
  subscription_key BINARY(16) NOT NULL,
  subscription_id VARCHAR(255) NOT NULL DEFAULT '',
  status VARCHAR(32) NOT NULL DEFAULT '',
  price_id VARCHAR(255) NOT NULL DEFAULT '',
  plan VARCHAR(64) NOT NULL DEFAULT '',
  period_end_at_us BIGINT NOT NULL DEFAULT 0,
  event_at_us BIGINT NOT NULL DEFAULT 0,
  event_rank INT NOT NULL DEFAULT 0,
  event_id VARCHAR(255) NOT NULL DEFAULT '',
  created_at_us BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (account_id, subscription_key)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Every webhook event, written in the transaction of its effect.  account_id is all zeros where it fits no
-- account.  A parked one keeps its body; subject names what it waits for.
CREATE TABLE IF NOT EXISTS webhook_events (
  event_key BINARY(16) NOT NULL PRIMARY KEY,
  account_id BINARY(16) NOT NULL,
  provider TINYINT NOT NULL DEFAULT 0,
  event_id VARCHAR(255) NOT NULL DEFAULT '',
  type VARCHAR(128) NOT NULL DEFAULT '',
  subject BINARY(16) NOT NULL,
  created_at_us BIGINT NOT NULL DEFAULT 0,
  received_at_us BIGINT NOT NULL DEFAULT 0,
  state TINYINT NOT NULL DEFAULT 0,
  note VARCHAR(255) NOT NULL DEFAULT '',
  body MEDIUMTEXT NOT NULL,
  KEY waiting (state, subject)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- ---- bonuses, codes, people -----------------------------------------------------------------------------

-- By whom an account was referred and what both get once it pays; wrong guesses of codes within the hour.
CREATE TABLE IF NOT EXISTS signups (
  account_id BINARY(16) NOT NULL PRIMARY KEY,
  referrer_id BINARY(16) NOT NULL,
  referred_at_us BIGINT NOT NULL DEFAULT 0,
  reward_micros BIGINT NOT NULL DEFAULT 0,
  reward_unit TINYINT NOT NULL DEFAULT 0,
  rewarded_at_us BIGINT NOT NULL DEFAULT 0,
  guesses INT NOT NULL DEFAULT 0,
  guesses_since_us BIGINT NOT NULL DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin;

CREATE TABLE IF NOT EXISTS redemptions (
  account_id BINARY(16) NOT NULL,
  code_id BINARY(16) NOT NULL,
  uses BIGINT NOT NULL DEFAULT 0,
  used_at_us BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (account_id, code_id)
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin;

-- What a campaign's sign-up bonuses sum to.  Its row is locked by whoever claims one.
CREATE TABLE IF NOT EXISTS campaigns (
  id BINARY(16) NOT NULL PRIMARY KEY,
  name VARCHAR(64) NOT NULL DEFAULT '',
  granted_micros BIGINT NOT NULL DEFAULT 0,
  grants BIGINT NOT NULL DEFAULT 0,
  created_at_us BIGINT NOT NULL DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- One row per account, per normalised e-mail address and per person that had a campaign's bonus; the id is a
-- digest of the three and the campaign (src/ledger/decide/identity.h), so that none can have it twice.
CREATE TABLE IF NOT EXISTS claims (
  id BINARY(16) NOT NULL PRIMARY KEY,
  campaign_id BINARY(16) NOT NULL,
  kind TINYINT NOT NULL DEFAULT 0,
  account_id BINARY(16) NOT NULL,
  transaction_seq BIGINT NOT NULL DEFAULT 0,
  amount_micros BIGINT NOT NULL DEFAULT 0,
  created_at_us BIGINT NOT NULL DEFAULT 0,
  KEY campaign (campaign_id, kind)
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin;

-- Codes that octroictl made.  code is as it is compared (src/ledger/code.h), id the first bytes of its SHA-256.
CREATE TABLE IF NOT EXISTS codes (
  id BINARY(16) NOT NULL PRIMARY KEY,
  code VARCHAR(32) NOT NULL DEFAULT '',
  batch VARCHAR(64) NOT NULL DEFAULT '',
  unit TINYINT NOT NULL DEFAULT 0,
  amount_micros BIGINT NOT NULL DEFAULT 0,
  expires_at_us BIGINT NOT NULL DEFAULT 0,
  uses_max BIGINT NOT NULL DEFAULT 1,
  uses_per_account BIGINT NOT NULL DEFAULT 1,
  uses BIGINT NOT NULL DEFAULT 0,
  revoked_at_us BIGINT NOT NULL DEFAULT 0,
  reason VARCHAR(255) NOT NULL DEFAULT '',
  actor VARCHAR(128) NOT NULL DEFAULT '',
  created_at_us BIGINT NOT NULL DEFAULT 0,
  KEY batch (batch)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- ---- end ------------------------------------------------------------------------------------------------

INSERT INTO schema_versions (version) VALUES (2);
