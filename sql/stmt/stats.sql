-- name: stats_summary
-- :at time
-- :soon time
-- :never time
-- :alive time
-- scan: a summary counts everything; one pass a table
select
  (select count(*) from managed_certificates),
  (select count(*) from managed_certificates where lower(status) not in ('revoked', 'expired') and expires_at > :at and expires_at <= :soon),
  (select count(*) from managed_certificates where lower(status) <> 'revoked' and (lower(status) = 'expired' or (expires_at > :never and expires_at <= :at))),
  (select count(*) from managed_certificates where lower(status) = 'revoked'),
  (select count(*) from agents where retired_at is null and last_heartbeat_at > :alive),
  (select count(*) from agents where retired_at is null),
  (select count(*) from jobs where status in ('Pending', 'AwaitingCSR', 'AwaitingApproval', 'Running')),
  (select count(*) from jobs where status = 'Failed'),
  (select count(*) from jobs where status = 'Completed')
