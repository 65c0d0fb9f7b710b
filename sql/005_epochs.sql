-- octroi, schema version 5: the server that may be written to.
-- Every statement may be run again: an interrupted file is applied from its beginning.

-- An epoch begins when a server is taken over (octroictl database takeover).  The newest row names the server that may
-- be written to; 0: any one.  servers: those of the ledger, of which octroi must have heard more than half.
CREATE TABLE IF NOT EXISTS epochs (
  number BIGINT NOT NULL PRIMARY KEY,
  server_id BIGINT NOT NULL DEFAULT 0,
  servers INT NOT NULL DEFAULT 1,
  taken_at_us BIGINT NOT NULL DEFAULT 0,
  actor VARCHAR(64) NOT NULL DEFAULT ''
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT IGNORE INTO epochs (number) VALUES (0);

-- ---- end ------------------------------------------------------------------------------------------------

INSERT INTO schema_versions (version) VALUES (5);
