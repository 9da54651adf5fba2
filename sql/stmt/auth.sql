-- Who is who: read when the principals' stamp changed, into one snapshot.

-- name: auth_role_permissions
-- scan: the whole table is the answer
select rp.role_id, p.name, rp.scope_type, rp.scope_id
from role_permissions rp join permissions p on p.id = rp.permission_id

-- name: auth_actor_roles
-- scan: the whole table is the answer
select actor_id, actor_type, role_id, scope_type, scope_id, expires_at from actor_roles

-- name: auth_api_keys
-- scan: the whole table is the answer
select name, key_hash, admin, expires_at, previous_hash, previous_until from api_keys

-- name: auth_agents
-- scan: the whole table is the answer
select id, api_key_hash, retired_at from agents where api_key_hash <> ''

-- name: auth_grant
-- :id text
-- :actor_id text
-- :actor_type text
-- :role_id text
-- :granted_by text
-- :at time
-- :tenant text
insert into actor_roles (id, actor_id, actor_type, role_id, granted_at, granted_by, tenant_id, scope_type)
select :id, :actor_id, :actor_type, :role_id, :at, :granted_by, :tenant, 'global'
where not exists (select 1 from actor_roles where actor_id = :actor_id and actor_type = :actor_type and role_id = :role_id
                  and scope_type = 'global')

-- name: auth_admins
-- :at time
-- scan: read once at start
select count(*) from actor_roles
where role_id = 'r-admin' and scope_type = 'global' and actor_id <> 'actor-demo-anon'
  and (expires_at is null or expires_at > :at)

-- name: auth_key_insert
-- :id text
-- :name text
-- :key_hash text
-- :admin bool
-- :created_by text
-- :at time
insert into api_keys (id, name, key_hash, tenant_id, admin, created_by, created_at)
values (:id, :name, :key_hash, 't-default', :admin, :created_by, :at)

-- name: issuer_first
-- scan: stops at the first row
-- :id text
-- :name text
-- :type text
-- :config json
-- :at time
insert into issuers (id, name, type, config, enabled, created_at, updated_at, source)
select :id, :name, :type, :config, true, :at, :at, 'env' where not exists (select 1 from issuers)
