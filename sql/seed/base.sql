-- Rows that every store has; applied at each start, so each insert gives way to
-- what is there. "@roles" becomes the permissions and grants of roles.txt.
insert into tenants (id, name) values ('t-default', 'default') on conflict do nothing;
insert into roles (id, tenant_id, name, description) values
  ('r-admin', 't-default', 'admin', 'Everything'),
  ('r-operator', 't-default', 'operator', 'Certificate lifecycle and reads, no access control'),
  ('r-viewer', 't-default', 'viewer', 'Reads'),
  ('r-agent', 't-default', 'agent', 'Identity of an agent'),
  ('r-mcp', 't-default', 'mcp', 'Operator without destructive verbs'),
  ('r-cli', 't-default', 'cli', 'Operator and its own keys'),
  ('r-auditor', 't-default', 'auditor', 'Audit only')
  on conflict do nothing;
@roles
insert into actor_roles (id, actor_id, actor_type, role_id, granted_by, tenant_id) values
  ('ar-demo-anon-admin', 'actor-demo-anon', 'Anonymous', 'r-admin', 'system', 't-default')
  on conflict do nothing;
insert into renewal_policies (id, name, renewal_window_days, auto_renew, max_retries, retry_interval_seconds, alert_thresholds_days) values
  ('rp-default', 'default', 30, true, 3, 60, '[30,14,7,0]')
  on conflict do nothing;
