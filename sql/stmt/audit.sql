-- Audit rows commit with the mutation they tell of.

-- name: audit_insert
-- :id text
-- :actor text
-- :actor_type text
-- :action text
-- :resource_type text
-- :resource_id text
-- :details json?
-- :at time
-- :category text
insert into audit_events (id, actor, actor_type, action, resource_type, resource_id, details, timestamp, event_category)
values (:id, :actor, :actor_type, :action, :resource_type, :resource_id, :details, :at, :category)
