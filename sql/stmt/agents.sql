-- name: agent_heartbeat
-- :id text
-- :at time
-- :hostname text
-- :os text
-- :architecture text
-- :ip_address text
-- :version text
-- Empty metadata keeps what is stored.
update agents set status = 'Online', last_heartbeat_at = :at,
  hostname = case when :hostname = '' then hostname else :hostname end,
  os = case when :os = '' then os else :os end,
  architecture = case when :architecture = '' then architecture else :architecture end,
  ip_address = case when :ip_address = '' then ip_address else :ip_address end,
  version = case when :version = '' then version else :version end
where id = :id and retired_at is null

-- name: agent_instance
-- :id text
-- :instance text
update agents set instance = :instance where id = :id and retired_at is null

-- name: agent_state
-- :id text
select retired_at, instance from agents where id = :id

-- name: agent_retire
-- :id text
-- :at time
-- :reason text?
update agents set retired_at = :at, retired_reason = :reason, status = 'Offline' where id = :id and retired_at is null

-- name: agent_retire_targets
-- :agent text
-- :at time
-- :reason text?
update deployment_targets set retired_at = :at, retired_reason = :reason, updated_at = :at where agent_id = :agent and retired_at is null

-- name: agent_dependencies
-- :id text
select
  (select count(*) from deployment_targets t where t.agent_id = :id and t.retired_at is null),
  (select count(distinct m.certificate_id) from certificate_target_mappings m join deployment_targets t on t.id = m.target_id
   where t.agent_id = :id and t.retired_at is null),
  (select count(*) from jobs j where j.agent_id = :id and j.status in ('Pending', 'AwaitingCSR', 'AwaitingApproval', 'Running'))

-- name: agents_silent
-- :before time
-- scan: one pass over the fleet per run of the loop, bounded
select id from agents where status = 'Online' and last_heartbeat_at < :before and retired_at is null limit 1000

-- name: agent_offline
-- :id text
-- :before time
update agents set status = 'Offline' where id = :id and status = 'Online' and last_heartbeat_at < :before
