/*
 * The handlers the route table points at, by file.
 */
#ifndef API_HANDLERS_H
#define API_HANDLERS_H

#include "api/request.h"

#define HANDLER(name) rc_t name(request_t *rq, reply_t *rp)

/* rest.c: any resource by its table */
HANDLER(rest_list);
HANDLER(rest_get);
HANDLER(rest_create);
HANDLER(rest_update);
HANDLER(rest_delete);

/* certificates.c */
HANDLER(certificates_create);
HANDLER(certificates_update);
HANDLER(certificates_archive);
HANDLER(certificates_versions);
HANDLER(certificates_deployments);
HANDLER(certificates_renew);
HANDLER(certificates_deploy);
HANDLER(certificates_map);
HANDLER(certificates_unmap);

/* agents.c */
HANDLER(agents_register);
HANDLER(agents_retire);
HANDLER(agents_heartbeat);
HANDLER(agents_work);
HANDLER(agents_csr);
HANDLER(agents_pickup);
HANDLER(agents_job_status);

/* jobs.c */
HANDLER(jobs_get);
HANDLER(jobs_cancel);
HANDLER(jobs_retry);
HANDLER(jobs_verify);
HANDLER(jobs_verification);

/* system.c */
HANDLER(system_health);
HANDLER(system_ready);
HANDLER(system_version);
HANDLER(system_auth_info);
HANDLER(system_auth_check);
HANDLER(system_auth_me);
HANDLER(system_summary);
HANDLER(system_openapi);
HANDLER(system_ca);

/* metrics.c */
HANDLER(system_metrics);

#endif
