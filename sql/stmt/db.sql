-- Statements of the storage floor itself.

-- name: stamp_own
-- :resource text
-- :writer text
update stamp set n = n + 1 where resource = :resource and writer = :writer

-- name: stamp_void
-- scan: two rows for each resource table, after a failed commit only
update stamp set n = n + 1 where writer = 'self'

-- name: stamp_self_row
-- :resource text
-- :writer text
insert into stamp (resource, writer, n) values (:resource, :writer, 0) on conflict do nothing

-- name: stamp_sum
-- :r1 text
-- :r2 text
-- :r3 text
-- :r4 text
select cast(coalesce(sum(n), 0) as bigint) from stamp where resource in (:r1, :r2, :r3, :r4)

-- name: stamp_all
-- scan: two rows for each resource table
select cast(coalesce(sum(n), 0) as bigint) from stamp

-- name: stamp_each
-- scan: two rows for each resource table
select resource, cast(sum(n) as bigint) from stamp group by resource

-- name: stamp_names
-- scan: one row for each resource table
select resource from stamp where writer = 'other'

-- name: writer_gate
-- :open int
update writer_open set open = :open where id = 1

-- name: ledger_versions
-- scan: one row for each migration, read once at start
select version from schema_migrations order by version

-- name: ledger_add
-- :version text
insert into schema_migrations (version) values (:version)
