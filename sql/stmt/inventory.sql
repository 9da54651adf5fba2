-- Deletions that the schema would follow up by changing or removing other rows: what is still used is not deleted.

-- name: team_delete
-- :id text
-- The schema would cascade; a team that still has something is not deleted.
delete from teams where id = :id
  and not exists (select 1 from owners o where o.team_id = :id)
  and not exists (select 1 from managed_certificates c where c.team_id = :id)

-- name: profile_delete
-- :id text
-- The schema would take the profile off its certificates, which widens what may be issued.
delete from certificate_profiles where id = :id
  and not exists (select 1 from managed_certificates c where c.certificate_profile_id = :id)
