/** Maintenance jobs as callers begin and cancel them: each with its row of the audit trail. */

import type { Call } from '../postgres/call.js';
import type { MaintenanceJob, MaintenanceKind, MaintenanceOrder } from '../postgres/maintenance.js';
import { auditOperation } from './audit-operation.js';
import type { AdminStore } from './store.js';

const actions: Readonly<Record<MaintenanceKind, string>> = {
  vacuum: 'VACUUM_TABLE',
  analyze: 'ANALYZE_TABLE',
  reindex: 'REINDEX_INDEX',
};

/**
 * Begins a job. It is in the audit trail before it is begun: where that fails, nothing is.
 * @throws StowageError those of `Maintenance.begin` and `commit`.
 */
export function beginMaintenance(
  store: AdminStore,
  call: Call,
  order: Omit<MaintenanceOrder, 'principal'>,
): Promise<MaintenanceJob> {
  const { kind, target } = order;
  return store.maintenance.begin({ ...order, principal: call.principal }, call, (jobId) =>
    auditOperation(store, call, actions[kind], { job_id: jobId, target }),
  );
}

/**
 * Ends a job that runs; one that has ended is told as it is.
 * @throws StowageError MAINTENANCE_JOB_NOT_FOUND; those of `commit`.
 */
export async function cancelMaintenance(
  store: AdminStore,
  call: Call,
  jobId: string,
): Promise<MaintenanceJob> {
  const job = store.maintenance.get(jobId);
  if (job.state !== 'running') return job;
  const { target } = job;
  await auditOperation(store, call, 'CANCEL_MAINTENANCE', { job_id: job.jobId, target });
  return store.maintenance.cancel(jobId);
}
