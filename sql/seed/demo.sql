-- Parent rows of the demo data, in the order that references need.
insert into teams (id, name, description) values
  ('t-platform', 'Platform', 'Platform engineering'),
  ('t-security', 'Security', 'Security engineering'),
  ('t-payments', 'Payments', 'Payments'),
  ('t-frontend', 'Frontend', 'Web front ends'),
  ('t-data', 'Data', 'Data engineering'),
  ('t-devops', 'DevOps', 'Build and delivery')
  on conflict do nothing;
insert into owners (id, name, email, team_id) values
  ('o-alice', 'Alice', 'alice@example.com', 't-platform'),
  ('o-bob', 'Bob', 'bob@example.com', 't-security'),
  ('o-carol', 'Carol', 'carol@example.com', 't-payments'),
  ('o-dave', 'Dave', 'dave@example.com', 't-frontend'),
  ('o-eve', 'Eve', 'eve@example.com', 't-data'),
  ('o-frank', 'Frank', 'frank@example.com', 't-devops')
  on conflict do nothing;
insert into renewal_policies (id, name, renewal_window_days, auto_renew, max_retries, retry_interval_seconds, alert_thresholds_days) values
  ('rp-standard', 'standard', 30, true, 3, 60, '[30,14,7,0]'),
  ('rp-urgent', 'urgent', 14, true, 5, 30, '[14,7,3,0]'),
  ('rp-manual', 'manual', 30, false, 0, 0, '[30,14,7,0]')
  on conflict do nothing;
insert into certificate_profiles (id, name, description, allowed_key_algorithms, max_ttl_seconds, allowed_ekus,
                                  required_san_patterns, spiffe_uri_pattern, allow_short_lived) values
  ('prof-standard-tls', 'Standard TLS', 'Public-facing TLS servers',
   '[{"algorithm":"ECDSA","min_size":256},{"algorithm":"RSA","min_size":2048}]', 7776000, '["serverAuth"]', '[]', '', false),
  ('prof-internal-mtls', 'Internal mTLS', 'Mutual TLS between services',
   '[{"algorithm":"ECDSA","min_size":256}]', 2592000, '["serverAuth","clientAuth"]',
   '[".*\\.internal\\.example\\.com$"]', '', false),
  ('prof-short-lived', 'Short-lived', 'Workload identities of minutes',
   '[{"algorithm":"ECDSA","min_size":256}]', 300, '["serverAuth","clientAuth"]', '[]',
   'spiffe://example.com/workload/*', true),
  ('prof-high-security', 'High security', 'Long keys',
   '[{"algorithm":"ECDSA","min_size":384},{"algorithm":"RSA","min_size":4096}]', 4060800, '["serverAuth"]',
   '[".*\\.example\\.com$"]', '', false),
  ('prof-smime', 'S/MIME', 'Signed and encrypted mail',
   '[{"algorithm":"ECDSA","min_size":256},{"algorithm":"RSA","min_size":2048}]', 31536000, '["emailProtection"]', '[]', '', false)
  on conflict do nothing;
insert into issuers (id, name, type, config, enabled) values
  ('iss-local', 'Local CA', 'GenericCA', '{"ca_common_name":"CertCtl Demo CA","validity_days":90}', true)
  on conflict do nothing;
