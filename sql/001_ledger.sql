-- octroi, schema version 1.  Applied by `octroictl init`; can also be imported by hand (phpMyAdmin).
-- Amounts are micros, times are microseconds since 1970 UTC.  Everything of one account lies together:
-- tables are clustered by (account_id, seq).  See sql/README.md.
-- Every statement may be run again: an interrupted file is applied from its beginning.

CREATE TABLE IF NOT EXISTS schema_versions (
  version INT NOT NULL PRIMARY KEY,
  applied_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin;

CREATE TABLE IF NOT EXISTS accounts (
  id BINARY(16) NOT NULL PRIMARY KEY,
  external_id VARCHAR(128) NOT NULL DEFAULT '',
  unit TINYINT NOT NULL DEFAULT 0,
  mode TINYINT NOT NULL DEFAULT 0,
  status TINYINT NOT NULL DEFAULT 0,
  byok INT NOT NULL DEFAULT 0,
  balance_micros BIGINT NOT NULL DEFAULT 0,
  held_micros BIGINT NOT NULL DEFAULT 0,
  hard_limit_micros BIGINT NOT NULL DEFAULT 0,
  soft_limit_micros BIGINT NOT NULL DEFAULT 0,
  open_holds INT NOT NULL DEFAULT 0,
  hold_seq BIGINT NOT NULL DEFAULT 0,
  grant_seq BIGINT NOT NULL DEFAULT 0,
  entry_seq BIGINT NOT NULL DEFAULT 0,
  chain_head BINARY(32) NOT NULL DEFAULT 0x0000000000000000000000000000000000000000000000000000000000000000,
  due_at_us BIGINT NOT NULL DEFAULT 9223372036854775807,
  created_at_us BIGINT NOT NULL DEFAULT 0,
  KEY due (due_at_us)
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin;

CREATE TABLE IF NOT EXISTS profiles (
  account_id BINARY(16) NOT NULL PRIMARY KEY,
  email VARCHAR(254) NOT NULL DEFAULT '',
  name VARCHAR(200) NOT NULL DEFAULT '',
  locale VARCHAR(16) NOT NULL DEFAULT '',
  time_zone VARCHAR(64) NOT NULL DEFAULT ''
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS members (
  account_id BINARY(16) NOT NULL,
  member_id VARCHAR(128) NOT NULL,
  role TINYINT NOT NULL DEFAULT 0,
  created_at_us BIGINT NOT NULL DEFAULT 0,
  removed_at_us BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (account_id, member_id)
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin;

CREATE TABLE IF NOT EXISTS grants (
  account_id BINARY(16) NOT NULL,
  seq BIGINT NOT NULL,
  type TINYINT NOT NULL DEFAULT 0,
  priority INT NOT NULL DEFAULT 0,
  expires_at_us BIGINT NOT NULL DEFAULT 0,
  amount_micros BIGINT NOT NULL DEFAULT 0,
  remaining_micros BIGINT NOT NULL DEFAULT 0,
  created_at_us BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (account_id, seq)
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin;

-- Holds that are open.  When one ends its row moves to usages.
CREATE TABLE IF NOT EXISTS holds (
  account_id BINARY(16) NOT NULL,
  seq BIGINT NOT NULL,
  member VARCHAR(128) NOT NULL DEFAULT '',
  kind TINYINT NOT NULL DEFAULT 0,
  item VARCHAR(160) NOT NULL DEFAULT '',
  provider VARCHAR(64) NOT NULL DEFAULT '',
  source TINYINT NOT NULL DEFAULT 0,
  price_version BIGINT NOT NULL DEFAULT 0,
  quantity BIGINT NOT NULL DEFAULT 0,
  input_tokens BIGINT NOT NULL DEFAULT 0,
  max_output_tokens BIGINT NOT NULL DEFAULT 0,
  reserved_micros BIGINT NOT NULL DEFAULT 0,
  conversation_id VARCHAR(128) NOT NULL DEFAULT '',
  message_id VARCHAR(128) NOT NULL DEFAULT '',
  metadata VARCHAR(1024) NOT NULL DEFAULT '',
  created_at_us BIGINT NOT NULL DEFAULT 0,
  expires_at_us BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (account_id, seq)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Holds that have ended, and charges: what was used and what it cost.
CREATE TABLE IF NOT EXISTS usages (
  account_id BINARY(16) NOT NULL,
  seq BIGINT NOT NULL,
  state TINYINT NOT NULL DEFAULT 0,
  settlement TINYINT NOT NULL DEFAULT 0,
  outcome TINYINT NOT NULL DEFAULT 0,
  has_usage TINYINT NOT NULL DEFAULT 0,
  member VARCHAR(128) NOT NULL DEFAULT '',
  kind TINYINT NOT NULL DEFAULT 0,
  item VARCHAR(160) NOT NULL DEFAULT '',
  provider VARCHAR(64) NOT NULL DEFAULT '',
  source TINYINT NOT NULL DEFAULT 0,
  price_version BIGINT NOT NULL DEFAULT 0,
  quantity BIGINT NOT NULL DEFAULT 0,
  reserved_micros BIGINT NOT NULL DEFAULT 0,
  input_tokens BIGINT NOT NULL DEFAULT 0,
  cache_read_tokens BIGINT NOT NULL DEFAULT 0,
  cache_write_tokens BIGINT NOT NULL DEFAULT 0,
  cache_write_1h_tokens BIGINT NOT NULL DEFAULT 0,
  output_tokens BIGINT NOT NULL DEFAULT 0,
  cost_micros BIGINT NOT NULL DEFAULT 0,
  balance_micros BIGINT NOT NULL DEFAULT 0,
  available_micros BIGINT NOT NULL DEFAULT 0,
  conversation_id VARCHAR(128) NOT NULL DEFAULT '',
  message_id VARCHAR(128) NOT NULL DEFAULT '',
  settled_message_id VARCHAR(128) NOT NULL DEFAULT '',
  metadata VARCHAR(1024) NOT NULL DEFAULT '',
  created_at_us BIGINT NOT NULL DEFAULT 0,
  ended_at_us BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (account_id, seq)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The journal: append-only, hash-chained per account.  octroi's database user may INSERT and SELECT here,
-- nothing more (sql/grants.sql).
CREATE TABLE IF NOT EXISTS entries (
  account_id BINARY(16) NOT NULL,
  seq BIGINT NOT NULL,
  kind TINYINT NOT NULL DEFAULT 0,
  counterpart TINYINT NOT NULL DEFAULT 0,
  amount_micros BIGINT NOT NULL DEFAULT 0,
  balance_before_micros BIGINT NOT NULL DEFAULT 0,
  balance_after_micros BIGINT NOT NULL DEFAULT 0,
  grant_seq BIGINT NOT NULL DEFAULT 0,
  usage_seq BIGINT NOT NULL DEFAULT 0,
  transaction_seq BIGINT NOT NULL DEFAULT 0,
  created_at_us BIGINT NOT NULL DEFAULT 0,
  hash BINARY(32) NOT NULL,
  PRIMARY KEY (account_id, seq)
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin;

-- Movements that are not usage: what the customer sees beside the journal.  seq is that of the first entry.
CREATE TABLE IF NOT EXISTS transactions (
  account_id BINARY(16) NOT NULL,
  seq BIGINT NOT NULL,
  type TINYINT NOT NULL DEFAULT 0,
  amount_micros BIGINT NOT NULL DEFAULT 0,
  balance_before_micros BIGINT NOT NULL DEFAULT 0,
  balance_after_micros BIGINT NOT NULL DEFAULT 0,
  grant_seq BIGINT NOT NULL DEFAULT 0,
  description VARCHAR(255) NOT NULL DEFAULT '',
  reference VARCHAR(255) NOT NULL DEFAULT '',
  actor VARCHAR(128) NOT NULL DEFAULT '',
  metadata VARCHAR(1024) NOT NULL DEFAULT '',
  created_at_us BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (account_id, seq)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- One row per request id that took effect: what it asked (fingerprint) and what it was answered.
CREATE TABLE IF NOT EXISTS requests (
  account_id BINARY(16) NOT NULL,
  request_key BINARY(16) NOT NULL,
  fingerprint BINARY(16) NOT NULL,
  command TINYINT NOT NULL DEFAULT 0,
  seq BIGINT NOT NULL DEFAULT 0,
  choice TINYINT NOT NULL DEFAULT 0,
  source TINYINT NOT NULL DEFAULT 0,
  provider VARCHAR(64) NOT NULL DEFAULT '',
  price_version BIGINT NOT NULL DEFAULT 0,
  amount_micros BIGINT NOT NULL DEFAULT 0,
  balance_micros BIGINT NOT NULL DEFAULT 0,
  available_micros BIGINT NOT NULL DEFAULT 0,
  max_output_tokens BIGINT NOT NULL DEFAULT 0,
  expires_at_us BIGINT NOT NULL DEFAULT 0,
  created_at_us BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (account_id, request_key)
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin;

-- One row per combined batch, written in its transaction: tells whether a COMMIT whose answer was lost took
-- place.  The id begins with the time (milliseconds); rows of more than an hour are of no use and removed.
CREATE TABLE IF NOT EXISTS batches (
  id BINARY(16) NOT NULL PRIMARY KEY
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin;

CREATE TABLE IF NOT EXISTS price_versions (
  id BIGINT NOT NULL PRIMARY KEY,
  starts_at_us BIGINT NOT NULL,
  margin_ppm BIGINT NOT NULL,
  rate_ppm BIGINT NOT NULL,
  credit_value_ppm BIGINT NOT NULL,
  note VARCHAR(255) NOT NULL DEFAULT '',
  created_at_us BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- A model's prices are pico-dollars per token in `tiers`: JSON, a list of
-- [above_tokens, input, cache_read, cache_write, cache_write_1h, output], the base tier (0) first.
CREATE TABLE IF NOT EXISTS prices (
  kind TINYINT NOT NULL,
  item VARCHAR(160) NOT NULL,
  version BIGINT NOT NULL,
  provider VARCHAR(64) NOT NULL DEFAULT '',
  credits_micros BIGINT NOT NULL DEFAULT 0,
  tiers VARCHAR(1024) NOT NULL DEFAULT '',
  PRIMARY KEY (kind, item, version)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS api_keys (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  digest BINARY(32) NOT NULL,
  scope VARCHAR(16) NOT NULL,
  label VARCHAR(128) NOT NULL DEFAULT '',
  prefix VARCHAR(32) NOT NULL DEFAULT '',
  created_at_us BIGINT NOT NULL,
  revoked_at_us BIGINT NOT NULL DEFAULT 0,
  UNIQUE KEY digest (digest)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

INSERT INTO schema_versions (version) VALUES (1);
