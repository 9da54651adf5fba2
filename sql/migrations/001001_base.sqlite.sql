-- Base schema: identity, inventory, work, audit. Table, column and constraint
-- names are those of the data model; a "@stamp" line becomes the triggers that
-- count foreign writes (sql/README.md).

create table if not exists stamp (
  resource text not null,
  writer text not null,
  n integer not null default 0,
  primary key (resource, writer)
) strict, without rowid;

create table if not exists writer_open (
  id integer primary key check (id = 1),
  open integer not null default 0
) strict;
insert into writer_open (id, open) values (1, 0) on conflict do nothing;

create table if not exists loops (
  name text not null primary key,
  next_run_at integer not null,
  holder text,
  attempt integer not null default 0,
  lease_until integer
) strict, without rowid;

create table if not exists tenants (
  id text not null primary key,
  name text not null,
  description text not null default '',
  created_at integer not null default (@now),
  updated_at integer not null default (@now)
) strict, without rowid;

create table if not exists roles (
  id text not null primary key,
  tenant_id text not null references tenants (id) on delete cascade,
  name text not null,
  description text not null default '',
  created_at integer not null default (@now),
  updated_at integer not null default (@now),
  constraint roles_tenant_id_name_key unique (tenant_id, name)
) strict, without rowid;

create table if not exists permissions (
  id text not null primary key,
  name text not null,
  namespace text not null,
  constraint permissions_name_key unique (name)
) strict, without rowid;

create table if not exists role_permissions (
  id integer primary key,
  role_id text not null references roles (id) on delete cascade,
  permission_id text not null references permissions (id) on delete restrict,
  scope_type text not null default 'global',
  scope_id text,
  constraint role_permission_scope_check check (scope_type in ('global', 'profile', 'issuer')),
  constraint role_permission_scope_id_consistency check ((scope_id is null) = (scope_type = 'global'))
) strict;
create unique index if not exists role_permissions_unique
  on role_permissions (role_id, permission_id, scope_type, coalesce(scope_id, ''));
create index if not exists idx_role_permissions_permission on role_permissions (permission_id);

create table if not exists actor_roles (
  id text not null primary key,
  actor_id text not null,
  actor_type text not null,
  role_id text not null references roles (id) on delete restrict,
  granted_at integer not null default (@now),
  expires_at integer,
  granted_by text not null default 'system',
  tenant_id text not null references tenants (id) on delete cascade,
  scope_type text not null default 'global',
  scope_id text,
  constraint actor_type_enum check (actor_type in ('User', 'System', 'Agent', 'APIKey', 'Anonymous')),
  constraint actor_roles_scope_type_enum check (scope_type in ('global', 'profile', 'issuer')),
  constraint actor_roles_scope_id_required_when_not_global check ((scope_id is null) = (scope_type = 'global'))
) strict, without rowid;
create unique index if not exists actor_roles_actor_role_scope_unique
  on actor_roles (actor_id, actor_type, role_id, scope_type, coalesce(scope_id, ''), tenant_id);
create index if not exists idx_actor_roles_role on actor_roles (role_id);
create index if not exists idx_actor_roles_tenant on actor_roles (tenant_id);

create table if not exists api_keys (
  id text not null primary key,
  name text not null,
  key_hash text not null,
  tenant_id text not null default 't-default' references tenants (id) on delete cascade,
  admin integer not null default 0,
  created_by text not null,
  created_at integer not null default (@now),
  expires_at integer,
  last_used_at integer,
  previous_hash text,
  previous_until integer,
  constraint api_keys_key_hash_key unique (key_hash),
  constraint api_keys_name_key unique (name)
) strict;
create index if not exists idx_api_keys_tenant_id on api_keys (tenant_id);

create table if not exists teams (
  id text not null primary key,
  name text not null,
  description text,
  created_at integer not null default (@now),
  updated_at integer not null default (@now),
  constraint teams_name_key unique (name)
) strict;
create index if not exists idx_teams_created_at on teams (created_at, id);

create table if not exists owners (
  id text not null primary key,
  name text not null,
  email text not null,
  team_id text not null references teams (id) on delete cascade,
  created_at integer not null default (@now),
  updated_at integer not null default (@now)
) strict;
create index if not exists idx_owners_team_id on owners (team_id);
create index if not exists idx_owners_created_at on owners (created_at, id);

create table if not exists certificate_profiles (
  id text not null primary key,
  name text not null,
  description text default '',
  allowed_key_algorithms text not null
    default '[{"algorithm":"ECDSA","min_size":256},{"algorithm":"RSA","min_size":2048}]',
  max_ttl_seconds integer not null default 0,
  allowed_ekus text not null default '["serverAuth"]',
  required_san_patterns text not null default '[]',
  spiffe_uri_pattern text default '',
  allow_short_lived integer not null default 0,
  enabled integer not null default 1,
  created_at integer not null default (@now),
  updated_at integer not null default (@now),
  required_csr_attributes text not null default '[]',
  must_staple integer not null default 0,
  acme_auth_mode text not null default 'trust_authenticated',
  requires_approval integer not null default 0,
  constraint certificate_profiles_name_key unique (name),
  constraint certificate_profiles_acme_auth_mode_chk check (acme_auth_mode in ('trust_authenticated', 'challenge'))
) strict;
create index if not exists idx_certificate_profiles_created_at on certificate_profiles (created_at, id);

create table if not exists renewal_policies (
  id text not null primary key,
  name text not null,
  renewal_window_days integer not null,
  auto_renew integer not null default 1,
  max_retries integer not null default 3,
  retry_interval_seconds integer not null default 60,
  alert_thresholds_days text not null default '[30,14,7,0]',
  created_at integer not null default (@now),
  updated_at integer not null default (@now),
  certificate_profile_id text references certificate_profiles (id) on delete set null,
  agent_group_id text,
  alert_channels text not null default '{}',
  alert_severity_map text not null default '{}',
  constraint renewal_policies_name_key unique (name)
) strict;
create index if not exists idx_renewal_policies_profile_id on renewal_policies (certificate_profile_id);

create table if not exists issuers (
  id text not null primary key,
  name text not null,
  type text not null,
  config text,
  enabled integer not null default 1,
  created_at integer not null default (@now),
  updated_at integer not null default (@now),
  encrypted_config blob,
  last_tested_at integer,
  test_status text not null default 'untested',
  source text not null default 'database',
  hierarchy_mode text not null default 'single',
  constraint issuers_name_key unique (name)
) strict;
create index if not exists idx_issuers_created_at on issuers (created_at, id);

create table if not exists agents (
  id text not null primary key,
  name text not null,
  hostname text not null,
  status text not null default 'offline',
  last_heartbeat_at integer,
  registered_at integer not null default (@now),
  api_key_hash text not null,
  os text default '',
  architecture text default '',
  ip_address text default '',
  version text default '',
  retired_at integer,
  retired_reason text,
  instance text,
  constraint agents_name_key unique (name)
) strict;
create index if not exists idx_agents_registered_at on agents (registered_at, id);
create index if not exists idx_agents_retired_at on agents (retired_at, id) where retired_at is not null;

create table if not exists deployment_targets (
  id text not null primary key,
  name text not null,
  type text not null,
  agent_id text not null references agents (id) on delete restrict,
  config text,
  enabled integer not null default 1,
  created_at integer not null default (@now),
  updated_at integer not null default (@now),
  encrypted_config blob,
  last_tested_at integer,
  test_status text not null default 'untested',
  source text not null default 'database',
  retired_at integer,
  retired_reason text
) strict;
create unique index if not exists idx_deployment_targets_agent_name on deployment_targets (agent_id, name);
create index if not exists idx_deployment_targets_created_at on deployment_targets (created_at, id);

create table if not exists managed_certificates (
  id text not null primary key,
  name text not null,
  common_name text not null,
  sans text default '[]',
  environment text,
  owner_id text not null references owners (id) on delete restrict,
  team_id text not null references teams (id) on delete cascade,
  issuer_id text not null references issuers (id) on delete restrict,
  renewal_policy_id text not null references renewal_policies (id) on delete restrict,
  status text not null default 'pending',
  expires_at integer,
  tags text not null default '{}',
  last_renewal_at integer,
  last_deployment_at integer,
  created_at integer not null default (@now),
  updated_at integer not null default (@now),
  certificate_profile_id text references certificate_profiles (id) on delete set null,
  revoked_at integer,
  revocation_reason text,
  source text not null default '',
  constraint managed_certificates_name_key unique (name)
) strict;
create index if not exists idx_managed_certificates_created_at on managed_certificates (created_at, id);
create index if not exists idx_managed_certificates_expires_at on managed_certificates (expires_at, id);
create index if not exists idx_managed_certificates_status on managed_certificates (lower(status));
create index if not exists idx_managed_certificates_owner_id on managed_certificates (owner_id);
create index if not exists idx_managed_certificates_team_id on managed_certificates (team_id);
create index if not exists idx_managed_certificates_issuer_id on managed_certificates (issuer_id);
create index if not exists idx_managed_certificates_renewal_policy_id on managed_certificates (renewal_policy_id);
create index if not exists idx_managed_certificates_profile_id on managed_certificates (certificate_profile_id)
  where certificate_profile_id is not null;

create table if not exists certificate_target_mappings (
  certificate_id text not null references managed_certificates (id) on delete cascade,
  target_id text not null references deployment_targets (id) on delete cascade,
  primary key (certificate_id, target_id)
) strict, without rowid;
create index if not exists idx_certificate_target_mappings_target_id on certificate_target_mappings (target_id);

create table if not exists certificate_versions (
  id text not null primary key,
  certificate_id text not null references managed_certificates (id) on delete cascade,
  serial_number text not null,
  not_before integer not null,
  not_after integer not null,
  fingerprint_sha256 text not null,
  pem_chain text not null,
  csr_pem text,
  created_at integer not null default (@now),
  key_algorithm text default '',
  key_size integer default 0,
  agent_id text references agents (id) on delete set null,
  constraint certificate_versions_fingerprint_sha256_key unique (fingerprint_sha256)
) strict;
create index if not exists idx_certificate_versions_cert_created on certificate_versions (certificate_id, created_at desc, id desc);
create index if not exists idx_certificate_versions_agent_id on certificate_versions (agent_id) where agent_id is not null;

-- next_run_at is null exactly on rows that nobody has to look at again, so that
-- the two claim indexes hold live work only.
create table if not exists jobs (
  id text not null primary key,
  type text not null,
  certificate_id text references managed_certificates (id) on delete cascade,
  target_id text references deployment_targets (id) on delete set null,
  agent_id text references agents (id) on delete set null,
  status text not null default 'pending',
  attempts integer not null default 0,
  max_attempts integer not null default 3,
  last_error text,
  deployment_result text,
  scheduled_at integer,
  started_at integer,
  completed_at integer,
  created_at integer not null default (@now),
  verification_status text default 'pending',
  verified_at integer,
  verification_fingerprint text,
  verification_error text,
  lease_holder text,
  lease_until integer,
  next_run_at integer default (@now)
) strict, without rowid;
create index if not exists idx_jobs_created_at on jobs (created_at, id);
create index if not exists idx_jobs_certificate_id on jobs (certificate_id);
create index if not exists idx_jobs_target_id on jobs (target_id) where target_id is not null;
create index if not exists idx_jobs_agent_id on jobs (agent_id, next_run_at) where agent_id is not null;
create index if not exists idx_jobs_due on jobs (next_run_at) where next_run_at is not null;
create unique index if not exists idx_jobs_one_live on jobs (certificate_id, coalesce(agent_id, ''))
  where lower(type) in ('issuance', 'renewal')
    and lower(status) in ('pending', 'awaitingcsr', 'awaitingapproval', 'running');

create table if not exists audit_events (
  id text not null primary key,
  actor text not null,
  actor_type text not null,
  action text not null,
  resource_type text not null,
  resource_id text not null,
  details text,
  "timestamp" integer not null default (@now),
  event_category text not null default 'cert_lifecycle',
  prev_hash text,
  row_hash text,
  constraint audit_events_event_category_check check (event_category in ('cert_lifecycle', 'auth', 'config'))
) strict, without rowid;
create index if not exists idx_audit_events_timestamp on audit_events ("timestamp", id);
create index if not exists idx_audit_events_resource_id on audit_events (resource_id, "timestamp");

create trigger if not exists audit_events_worm_update before update on audit_events
begin
  select raise(abort, 'audit_events is append-only');
end;
create trigger if not exists audit_events_worm_delete before delete on audit_events
begin
  select raise(abort, 'audit_events is append-only');
end;

@stamp roles role_permissions actor_roles api_keys
@stamp teams owners certificate_profiles renewal_policies issuers agents deployment_targets
@stamp managed_certificates certificate_target_mappings certificate_versions jobs audit_events
