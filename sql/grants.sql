-- The rights of octroi's database user, and no more.  Run as an administrator after `octroictl init`, with
-- the user and database names of your site.  The journal can then only grow, whatever happens to octroi.
GRANT SELECT ON octroi.* TO 'octroi'@'localhost';
GRANT INSERT ON octroi.* TO 'octroi'@'localhost';
GRANT UPDATE ON octroi.accounts TO 'octroi'@'localhost';
GRANT UPDATE ON octroi.profiles TO 'octroi'@'localhost';
GRANT UPDATE ON octroi.members TO 'octroi'@'localhost';
GRANT UPDATE ON octroi.grants TO 'octroi'@'localhost';
GRANT UPDATE, DELETE ON octroi.holds TO 'octroi'@'localhost';
-- octroi may not change the user of a usage or its counts, but its cost, when an expired hold is settled late.  The right
-- to all columns, which earlier versions gave, is taken back; it is given first because only a given right can be revoked.
-- The key is never changed: INSERT ... ON DUPLICATE KEY UPDATE asks for the right to each column that it names.
GRANT UPDATE ON octroi.usages TO 'octroi'@'localhost';
REVOKE UPDATE ON octroi.usages FROM 'octroi'@'localhost';
GRANT UPDATE (account_id, seq, state, settlement, outcome, has_usage, input_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens, cost_micros, balance_micros, available_micros, settled_message_id, ended_at_us, service_tier, variant, counts, incomplete, reported) ON octroi.usages TO 'octroi'@'localhost';
GRANT DELETE ON octroi.batches TO 'octroi'@'localhost';
GRANT UPDATE ON octroi.api_keys TO 'octroi'@'localhost';
GRANT UPDATE ON octroi.billing TO 'octroi'@'localhost';
GRANT UPDATE ON octroi.topups TO 'octroi'@'localhost';
GRANT UPDATE ON octroi.refunds TO 'octroi'@'localhost';
GRANT UPDATE ON octroi.disputes TO 'octroi'@'localhost';
GRANT UPDATE ON octroi.subscriptions TO 'octroi'@'localhost';
GRANT UPDATE ON octroi.webhook_events TO 'octroi'@'localhost';
GRANT UPDATE ON octroi.signups TO 'octroi'@'localhost';
GRANT UPDATE ON octroi.redemptions TO 'octroi'@'localhost';
GRANT UPDATE ON octroi.campaigns TO 'octroi'@'localhost';
GRANT UPDATE ON octroi.codes TO 'octroi'@'localhost';
GRANT UPDATE ON octroi.paid_periods TO 'octroi'@'localhost';
GRANT UPDATE ON octroi.workspaces TO 'octroi'@'localhost';
GRANT UPDATE ON octroi.statements TO 'octroi'@'localhost';
GRANT UPDATE ON octroi.outbox TO 'octroi'@'localhost';
GRANT UPDATE ON octroi.graces TO 'octroi'@'localhost';
GRANT UPDATE ON octroi.recharges TO 'octroi'@'localhost';
GRANT UPDATE (told) ON octroi.alerts TO 'octroi'@'localhost';
GRANT DELETE ON octroi.alerts TO 'octroi'@'localhost';
GRANT UPDATE (told, ended_at_us) ON octroi.operator_alerts TO 'octroi'@'localhost';
GRANT DELETE ON octroi.operator_alerts TO 'octroi'@'localhost';
GRANT UPDATE ON octroi.endpoints TO 'octroi'@'localhost';
GRANT UPDATE, DELETE ON octroi.deliveries TO 'octroi'@'localhost';
GRANT UPDATE, DELETE ON octroi.mails TO 'octroi'@'localhost';
GRANT DELETE ON octroi.hours TO 'octroi'@'localhost';
GRANT UPDATE ON octroi.probes TO 'octroi'@'localhost';
