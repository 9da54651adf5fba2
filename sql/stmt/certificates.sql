-- Certificates, their targets and versions.

-- name: mapping_put
-- :certificate text
-- :target text
insert into certificate_target_mappings (certificate_id, target_id) values (:certificate, :target)
on conflict (certificate_id, target_id) do nothing

-- name: mapping_del
-- :certificate text
-- :target text
delete from certificate_target_mappings where certificate_id = :certificate and target_id = :target

-- name: mapping_clear
-- :certificate text
delete from certificate_target_mappings where certificate_id = :certificate

-- name: mapping_of_many [sqlite]
-- :ids texts
select certificate_id, target_id from certificate_target_mappings
where certificate_id in (select value from json_each(:ids)) order by certificate_id, target_id

-- name: mapping_of_many [pg]
-- :ids texts
select certificate_id, target_id from certificate_target_mappings
where certificate_id = any (:ids) order by certificate_id, target_id

-- name: certificate_targets
-- :certificate text
-- Targets that deployments go to, with their agents.
select t.id, t.agent_id from certificate_target_mappings m
join deployment_targets t on t.id = m.target_id
join agents a on a.id = t.agent_id
where m.certificate_id = :certificate and t.enabled and t.retired_at is null and a.retired_at is null
order by t.agent_id, t.id

-- name: targets_known [sqlite]
-- :ids texts
select t.id, t.agent_id, (t.enabled and t.retired_at is null and a.retired_at is null) from deployment_targets t
join agents a on a.id = t.agent_id where t.id in (select value from json_each(:ids)) order by t.agent_id, t.id

-- name: targets_known [pg]
-- :ids texts
select t.id, t.agent_id, (t.enabled and t.retired_at is null and a.retired_at is null) from deployment_targets t
join agents a on a.id = t.agent_id where t.id = any (:ids) order by t.agent_id, t.id

-- name: issue_context
-- :id text
-- :agent text
-- All that an issuance needs to know of a certificate, in one read.
select c.common_name, c.sans, c.status, c.issuer_id, i.enabled, i.type, i.config,
       p.id, p.enabled, p.max_ttl_seconds, p.allowed_key_algorithms, p.allowed_ekus, p.must_staple,
       r.max_retries, r.retry_interval_seconds,
       exists (select 1 from certificate_target_mappings m where m.certificate_id = c.id),
       exists (select 1 from agents a where a.id = :agent)
from managed_certificates c
join issuers i on i.id = c.issuer_id
join renewal_policies r on r.id = c.renewal_policy_id
left join certificate_profiles p on p.id = c.certificate_profile_id
where c.id = :id

-- name: version_insert
-- :id text
-- :certificate text
-- :serial text
-- :not_before time
-- :not_after time
-- :fingerprint text
-- :pem text
-- :csr text?
-- :at time
-- :key_algorithm text
-- :key_size int
-- :agent text?
insert into certificate_versions (id, certificate_id, serial_number, not_before, not_after, fingerprint_sha256, pem_chain,
                                  csr_pem, created_at, key_algorithm, key_size, agent_id)
values (:id, :certificate, :serial, :not_before, :not_after, :fingerprint, :pem, :csr, :at, :key_algorithm, :key_size, :agent)

-- name: version_by_fingerprint
-- :fingerprint text
select id, certificate_id from certificate_versions where fingerprint_sha256 = :fingerprint

-- name: version_latest
-- :certificate text
-- :agent text
-- The newest of that agent, else of nobody in particular.
select pem_chain, serial_number, fingerprint_sha256, not_after, csr_pem from certificate_versions
where certificate_id = :certificate and (agent_id = :agent or agent_id is null)
order by (agent_id is null), created_at desc limit 1

-- name: certificate_issued
-- :id text
-- :agent text?
-- :not_after time
-- :at time
-- :job text
-- After version_insert. Active, unless another agent's leaf is still under way; the end is the earliest current leaf's, of which the
-- new one is this agent's. A revoked or archived row stays so.
update managed_certificates set
  status = case when exists (select 1 from jobs j where j.certificate_id = managed_certificates.id and j.id <> :job
                             and j.type in ('Issuance', 'Renewal') and j.status in ('Pending', 'AwaitingCSR', 'AwaitingApproval', 'Running'))
           then status else 'Active' end,
  expires_at = (select min(x.not_after) from (
                select :not_after as not_after union all
                select v.not_after from certificate_versions v where v.certificate_id = :id and v.agent_id is distinct from :agent
                and not exists (select 1 from certificate_versions w where w.certificate_id = v.certificate_id
                                and w.agent_id is not distinct from v.agent_id
                                and (w.created_at > v.created_at or (w.created_at = v.created_at and w.id > v.id)))) x),
  last_renewal_at = :at, updated_at = :at
where id = :id and status not in ('Revoked', 'Archived')

-- name: certificate_renewing
-- :id text
-- :at time
-- A certificate without a leaf stays Pending until it has one.
update managed_certificates set status = case when last_renewal_at is not null then 'RenewalInProgress' else 'Pending' end, updated_at = :at
where id = :id and status not in ('Revoked', 'Archived')

-- name: certificate_unrenewed
-- :id text
-- :at time
-- :job text
-- After a failed issuance: Active while a valid leaf exists, else Failed; untouched while another job is under way.
update managed_certificates set
  status = case when expires_at > :at then 'Active' else 'Failed' end, updated_at = :at
where id = :id and status in ('Pending', 'RenewalInProgress', 'Failed')
  and not exists (select 1 from jobs j where j.certificate_id = managed_certificates.id and j.id <> :job
                  and j.type in ('Issuance', 'Renewal') and j.status in ('Pending', 'AwaitingCSR', 'AwaitingApproval', 'Running'))

-- name: certificate_deployed
-- :id text
-- :at time
update managed_certificates set last_deployment_at = :at, updated_at = :at where id = :id

-- name: certificate_archive
-- :id text
-- :at time
update managed_certificates set status = 'Archived', updated_at = :at where id = :id and status <> 'Archived'

-- name: certificates_aging [sqlite]
-- :at time
-- :never time
-- :horizon time
-- Rows whose status no longer fits their end; bounded per run. The window is 365 days at most (renewal_policies), which is :horizon.
select c.id, c.status, case when c.expires_at <= :at then 'Expired' else 'Expiring' end
from managed_certificates c join renewal_policies r on r.id = c.renewal_policy_id
where c.expires_at > :never and c.expires_at <= :horizon and c.status in ('Active', 'Expiring')
  and (c.expires_at <= :at or (c.status = 'Active' and c.expires_at <= :at + r.renewal_window_days * 86400000000))
order by c.expires_at limit 500

-- name: certificates_aging [pg]
-- :at time
-- :never time
-- :horizon time
select c.id, c.status, case when c.expires_at <= :at then 'Expired' else 'Expiring' end
from managed_certificates c join renewal_policies r on r.id = c.renewal_policy_id
where c.expires_at > :never and c.expires_at <= :horizon and c.status in ('Active', 'Expiring')
  and (c.expires_at <= :at or (c.status = 'Active' and c.expires_at <= :at + r.renewal_window_days * interval '1 day'))
order by c.expires_at limit 500

-- name: certificate_age
-- :id text
-- :status text
-- :old text
-- :at time
update managed_certificates set status = :status, updated_at = :at where id = :id and status = :old

-- name: certificate_state
-- :id text
select c.status, c.last_renewal_at, r.max_retries, c.common_name
from managed_certificates c join renewal_policies r on r.id = c.renewal_policy_id where c.id = :id
