#include "model/permission.h"

const char *const permission_names[PERMISSION_COUNT] = {
  "cert.read", "cert.issue", "cert.edit", "cert.revoke", "cert.delete", "cert.bulk_revoke",
  "profile.read", "profile.edit", "profile.delete",
  "issuer.read", "issuer.edit", "issuer.delete",
  "target.read", "target.edit", "target.delete",
  "agent.read", "agent.edit", "agent.retire", "agent.heartbeat",
  "agent.job.poll", "agent.job.complete", "agent.job.report",
  "audit.read", "audit.export",
  "auth.role.list", "auth.role.create", "auth.role.edit", "auth.role.delete", "auth.role.assign", "auth.role.revoke",
  "auth.key.list", "auth.key.create", "auth.key.rotate", "auth.key.delete",
  "auth.bootstrap.use",
  "auth.session.list", "auth.session.list.all", "auth.session.revoke",
  "auth.oidc.list", "auth.oidc.create", "auth.oidc.edit", "auth.oidc.delete",
  "auth.breakglass.admin", "auth.breakglass.login",
  "auth.user.read", "auth.user.deactivate",
  "crl.admin", "scep.admin", "est.admin", "ca.hierarchy.manage",
  "job.read", "job.cancel",
  "approval.read", "approval.approve", "approval.reject",
  "policy.read", "policy.edit", "policy.delete",
  "team.read", "team.edit", "team.delete",
  "owner.read", "owner.edit", "owner.delete",
  "notification.read", "notification.edit",
  "discovery.read", "discovery.run", "discovery.claim",
  "network_scan.read", "network_scan.edit", "network_scan.run",
  "healthcheck.read", "healthcheck.edit", "healthcheck.delete", "healthcheck.acknowledge",
  "digest.read", "digest.send",
  "verification.read", "verification.run",
  "stats.read", "metrics.read",
};

int permission_find(slice_t name)
{
  for (int i = 0; i < PERMISSION_COUNT; i++)
    if (slice_is(name, permission_names[i])) return i;
  return -1;
}
