-- Jobs change state by guarded updates only: where status = what was read. next_run_at is null exactly on rows that
-- nobody has to look at again, so that the claim indexes hold live work only.

-- name: job_insert
-- :id text
-- :type text
-- :certificate text
-- :target text?
-- :agent text?
-- :status text
-- :max_attempts int
-- :at time
insert into jobs (id, type, certificate_id, target_id, agent_id, status, attempts, max_attempts, scheduled_at, created_at,
                  next_run_at, verification_status)
values (:id, :type, :certificate, :target, :agent, :status, 0, :max_attempts, :at, :at, :at, 'pending')

-- name: jobs_for_agent
-- :agent text
-- :at time
-- What an idle agent has to do: its own rows (Running ones too: an agent that asks has nothing in hand, so their
-- reply was lost), rows of its targets, and CSRs wanted from any agent of a mapped target.
select j.id, j.type, j.certificate_id, j.target_id, j.status, j.agent_id, j.created_at from jobs j
where j.agent_id = :agent and j.next_run_at <= :at
  and ((j.status in ('Pending', 'Running') and j.type = 'Deployment') or (j.status = 'AwaitingCSR' and j.type in ('Issuance', 'Renewal')))
union all
select j.id, j.type, j.certificate_id, j.target_id, j.status, j.agent_id, j.created_at from jobs j
join deployment_targets t on t.id = j.target_id
where j.agent_id is null and j.status = 'Pending' and j.type = 'Deployment' and t.agent_id = :agent
  and j.next_run_at <= :at
union all
select j.id, j.type, j.certificate_id, j.target_id, j.status, j.agent_id, j.created_at from jobs j
where j.agent_id is null and j.status = 'AwaitingCSR' and j.type in ('Issuance', 'Renewal')
  and j.next_run_at <= :at
  and (j.lease_holder is null or j.lease_holder = :agent or j.lease_until <= :at)
  and exists (select 1 from certificate_target_mappings m join deployment_targets t on t.id = m.target_id
              where m.certificate_id = j.certificate_id and t.agent_id = :agent)
order by 7, 1 limit 32

-- name: job_work
-- :id text
-- What a work item shows beside the job.
select c.common_name, c.sans, t.type, t.config from jobs j
left join managed_certificates c on c.id = j.certificate_id
left join deployment_targets t on t.id = j.target_id
where j.id = :id

-- name: job_start
-- :id text
-- :agent text
-- :holder text
-- :until time
-- :at time
update jobs set status = 'Running', agent_id = :agent, lease_holder = :holder, lease_until = :until, started_at = :at,
  attempts = attempts + 1
where id = :id and status in ('Pending', 'Running') and type = 'Deployment' and (agent_id is null or agent_id = :agent)

-- name: job_lease_csr
-- :id text
-- :holder text
-- :until time
-- :at time
update jobs set lease_holder = :holder, lease_until = :until
where id = :id and status = 'AwaitingCSR' and (lease_holder is null or lease_holder = :holder or lease_until <= :at)

-- name: agents_with_work
-- :at time
-- Agents for whom something can be begun now; read once for all that are parked.
select distinct j.agent_id from jobs j
where j.next_run_at <= :at and j.status in ('Pending', 'AwaitingCSR') and j.agent_id is not null
union
select distinct t.agent_id from jobs j join deployment_targets t on t.id = j.target_id
where j.next_run_at <= :at and j.status = 'Pending' and j.agent_id is null
union
select distinct t.agent_id from jobs j join certificate_target_mappings m on m.certificate_id = j.certificate_id
join deployment_targets t on t.id = m.target_id
where j.next_run_at <= :at and j.status = 'AwaitingCSR' and j.agent_id is null
  and (j.lease_until is null or j.lease_until <= :at)

-- name: jobs_requeue_agent
-- :agent text
-- A new process of the agent: what its predecessor had in hand is to be begun again.
update jobs set status = 'Pending', lease_holder = null, lease_until = null, attempts = attempts + 1
where agent_id = :agent and status = 'Running' and type = 'Deployment'

-- name: job_awaiting_csr
-- :certificate text
-- :agent text
-- :operator bool
-- At most two rows (idx_jobs_one_live), the agent's own and nobody's; put in order by the reader, which costs less than a
-- sorter. Nobody's is answered by an operator, or by an agent that has a target of the certificate: any other agent
-- would get a certificate for names that are not its host's.
select id, attempts, max_attempts, agent_id from jobs
where certificate_id = :certificate and status = 'AwaitingCSR' and type in ('Issuance', 'Renewal')
  and (agent_id = :agent or (agent_id is null and (:operator or exists (
       select 1 from certificate_target_mappings m join deployment_targets t on t.id = m.target_id
       where m.certificate_id = :certificate and t.agent_id = :agent))))

-- name: job_live_issuance
-- :certificate text
select id from jobs
where certificate_id = :certificate and type in ('Issuance', 'Renewal')
  and status in ('Pending', 'AwaitingCSR', 'AwaitingApproval', 'Running')
order by created_at, id

-- name: job_issued
-- :id text
-- :attempts int
-- :agent text?
-- :at time
update jobs set status = 'Completed', attempts = attempts + 1, started_at = coalesce(started_at, :at), completed_at = :at,
  last_error = null, lease_holder = null, lease_until = null, next_run_at = null, agent_id = coalesce(agent_id, :agent)
where id = :id and status = 'AwaitingCSR' and attempts = :attempts

-- name: job_unissued
-- :id text
-- :attempts int
-- :error text
-- :at time
-- :next time?
update jobs set status = 'Failed', attempts = attempts + 1, started_at = coalesce(started_at, :at), completed_at = :at,
  last_error = :error, lease_holder = null, lease_until = null, next_run_at = :next
where id = :id and status = 'AwaitingCSR' and attempts = :attempts

-- name: job_keepalive
-- :id text
-- :agent text
-- :until time
update jobs set lease_until = :until where id = :id and status = 'Running' and agent_id = :agent

-- name: job_end
-- :id text
-- :agent text
-- :status text
-- :error text?
-- :at time
-- :next time?
update jobs set status = :status, last_error = :error, completed_at = :at, lease_holder = null, lease_until = null, next_run_at = :next
where id = :id and agent_id = :agent and status = 'Running'

-- name: job_csr_given_up
-- :id text
-- :agent text
-- :error text
-- :at time
-- :next time?
update jobs set status = 'Failed', attempts = attempts + 1, last_error = :error, completed_at = :at, lease_holder = null,
  lease_until = null, next_run_at = :next
where id = :id and status = 'AwaitingCSR' and (agent_id = :agent or lease_holder = :agent)

-- name: job_verified
-- :id text
-- :status text
-- :fingerprint text?
-- :error text?
-- :at time
update jobs set verification_status = :status, verification_fingerprint = :fingerprint, verification_error = :error, verified_at = :at
where id = :id

-- name: job_cancel
-- :id text
-- :error text
-- :at time
update jobs set status = 'Cancelled', last_error = :error, completed_at = :at, lease_holder = null, lease_until = null, next_run_at = null
where id = :id and status in ('Pending', 'AwaitingCSR', 'Running')

-- name: job_retry
-- :id text
-- :at time
-- A failed job begins again where its kind begins, unless a younger one of the certificate is under way.
update jobs set status = case when type = 'Deployment' then 'Pending' else 'AwaitingCSR' end, last_error = null, completed_at = null,
  next_run_at = :at, scheduled_at = :at
where id = :id and status = 'Failed'
  and (type = 'Deployment' or not exists (select 1 from jobs o where o.certificate_id = jobs.certificate_id and o.id <> jobs.id
       and o.agent_id is not distinct from jobs.agent_id
       and o.type in ('Issuance', 'Renewal') and o.status in ('Pending', 'AwaitingCSR', 'AwaitingApproval', 'Running')))

-- name: jobs_to_retry
-- :at time
select id, agent_id, attempts, max_attempts from jobs
where next_run_at <= :at and status = 'Failed' and attempts < max_attempts
order by next_run_at, id limit 200

-- name: jobs_lease_over
-- :at time
-- :far time
-- A lease beyond :far was given before the clock was set back.
select id, agent_id, attempts from jobs
where next_run_at <= :at and status = 'Running' and (lease_until <= :at or lease_until > :far) order by lease_until, id limit 200

-- name: job_lease_drop
-- :id text
-- :attempts int
-- :at time
-- :far time
update jobs set status = 'Pending', lease_holder = null, lease_until = null
where id = :id and status = 'Running' and attempts = :attempts and (lease_until <= :at or lease_until > :far)

-- name: jobs_stranded
-- :soon time
-- :far time
-- Only a failed job waits for a time, :far at most; the others were stamped before the clock was set back.
select id, agent_id from jobs
where next_run_at > :soon and (status <> 'Failed' or next_run_at > :far) order by next_run_at, id limit 200

-- name: job_unstrand
-- :id text
-- :soon time
-- :at time
update jobs set next_run_at = :at, scheduled_at = :at where id = :id and next_run_at > :soon

-- name: jobs_csr_overdue
-- :at time
-- :before time
select id from jobs
where next_run_at <= :at and status = 'AwaitingCSR' and scheduled_at < :before order by scheduled_at, id limit 200

-- name: job_time_out
-- :id text
-- :error text
-- :at time
update jobs set status = 'Failed', last_error = :error, completed_at = :at, lease_holder = null, lease_until = null, next_run_at = null,
  attempts = max_attempts
where id = :id and status = 'AwaitingCSR'

-- name: loop_put
-- :name text
-- :at time
insert into loops (name, next_run_at, attempt) values (:name, :at, 0) on conflict (name) do nothing

-- name: loops_due
-- scan: one row a loop
select name, next_run_at, attempt, lease_until from loops

-- name: loop_claim
-- :name text
-- :holder text
-- :attempt int
-- :at time
-- :until time
-- :next time
-- :next_far time
-- :lease_far time
-- Times beyond the two limits were written before the clock was set back, and hold nothing up.
update loops set holder = :holder, attempt = attempt + 1, lease_until = :until, next_run_at = :next
where name = :name and attempt = :attempt and (next_run_at <= :at or next_run_at > :next_far)
  and (lease_until is null or lease_until <= :at or lease_until > :lease_far)

-- name: loop_release
-- :name text
-- :holder text
-- :attempt int
update loops set holder = null, lease_until = null where name = :name and holder = :holder and attempt = :attempt

-- name: loop_due_now
-- :name text
-- :at time
update loops set next_run_at = :at where name = :name and next_run_at > :at

-- name: job_look
-- :id text
select j.type, j.certificate_id, j.attempts, j.max_attempts, r.retry_interval_seconds, j.status, j.target_id, j.agent_id
from jobs j left join managed_certificates c on c.id = j.certificate_id
left join renewal_policies r on r.id = c.renewal_policy_id
where j.id = :id

-- name: jobs_cancel_agent
-- :agent text
-- :error text
-- :at time
-- Work that nobody will do any more; a live issuance would also bar the next renewal.
update jobs set status = 'Cancelled', last_error = :error, completed_at = :at, lease_holder = null, lease_until = null, next_run_at = null
where agent_id = :agent and next_run_at is not null and status in ('Pending', 'AwaitingCSR', 'AwaitingApproval', 'Running')

-- name: jobs_cancel_of
-- :certificate text
-- :error text
-- :at time
update jobs set status = 'Cancelled', last_error = :error, completed_at = :at, lease_holder = null, lease_until = null, next_run_at = null
where certificate_id = :certificate and status in ('Pending', 'AwaitingCSR', 'AwaitingApproval', 'Running')
