-- What guard.php keeps: the tables that a careful application would give itself.  Amounts are micros.

CREATE TABLE api_keys (
  digest BINARY(32) NOT NULL PRIMARY KEY,
  scope VARCHAR(16) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin;

CREATE TABLE accounts (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(128) NOT NULL,
  balance_micros BIGINT NOT NULL DEFAULT 0,
  held_micros BIGINT NOT NULL DEFAULT 0,
  UNIQUE KEY name (name)
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin;

CREATE TABLE holds (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  account_id BIGINT UNSIGNED NOT NULL,
  model VARCHAR(64) NOT NULL,
  input_tokens BIGINT NOT NULL,
  max_output_tokens BIGINT NOT NULL,
  reserved_micros BIGINT NOT NULL,
  created_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin;

-- id is that of the hold, which has ended: a second end of it is a duplicate key.
CREATE TABLE usages (
  id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  account_id BIGINT UNSIGNED NOT NULL,
  model VARCHAR(64) NOT NULL,
  reserved_micros BIGINT NOT NULL,
  input_tokens BIGINT NOT NULL,
  output_tokens BIGINT NOT NULL,
  cost_micros BIGINT NOT NULL,
  balance_micros BIGINT NOT NULL,
  available_micros BIGINT NOT NULL,
  created_at TIMESTAMP(6) NOT NULL,
  ended_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin;

CREATE TABLE entries (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  account_id BIGINT UNSIGNED NOT NULL,
  usage_id BIGINT UNSIGNED NOT NULL,
  amount_micros BIGINT NOT NULL,
  balance_before_micros BIGINT NOT NULL,
  balance_after_micros BIGINT NOT NULL,
  created_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  KEY account (account_id)
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin;

-- What a request id asked and what it was answered; the key is what makes it take effect once.
CREATE TABLE requests (
  account_id BIGINT UNSIGNED NOT NULL,
  request_id VARCHAR(128) NOT NULL,
  fingerprint BINARY(32) NOT NULL,
  answer VARCHAR(512) NOT NULL,
  PRIMARY KEY (account_id, request_id)
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin;
