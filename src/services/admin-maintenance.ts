/** AdminService's RPCs of maintenance jobs. */

import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  type AnalyzeRequest,
  type CancelMaintenanceJobRequest,
  type GetMaintenanceJobRequest,
  type MaintenanceJobSchema,
  MaintenanceKind,
  MaintenanceState,
  type ReindexConcurrentlyRequest,
  type VacuumRequest,
} from '../../gen/stowage/v1/admin_maintenance_pb.js';
import { fromMillis } from '../lib/timestamp.js';
import type { MaintenanceJob } from '../postgres/maintenance.js';
import { beginMaintenance, cancelMaintenance } from '../store/maintenance.js';
import type { AdminStore } from '../store/store.js';
import { type CallContext, scopedCall } from './handler.js';

const kinds = {
  vacuum: MaintenanceKind.VACUUM,
  analyze: MaintenanceKind.ANALYZE,
  reindex: MaintenanceKind.REINDEX,
} as const satisfies Record<MaintenanceJob['kind'], MaintenanceKind>;

const states = {
  running: MaintenanceState.RUNNING,
  succeeded: MaintenanceState.SUCCEEDED,
  failed: MaintenanceState.FAILED,
  cancelled: MaintenanceState.CANCELLED,
} as const satisfies Record<MaintenanceJob['state'], MaintenanceState>;

/** The handlers over the answering server's jobs. */
export function maintenanceHandlers(store: AdminStore) {
  const { maintenance } = store;
  const begin = async (
    context: CallContext,
    kind: MaintenanceJob['kind'],
    target: string,
    analyze = false,
  ) => {
    const order = { kind, target, analyze };
    return { job: jobMessage(await beginMaintenance(store, scopedCall(context, {}), order)) };
  };
  return {
    vacuum: ({ table, analyze }: VacuumRequest, context: CallContext) =>
      begin(context, 'vacuum', table, analyze),

    analyze: ({ table }: AnalyzeRequest, context: CallContext) => begin(context, 'analyze', table),

    reindexConcurrently: ({ index }: ReindexConcurrentlyRequest, context: CallContext) =>
      begin(context, 'reindex', index),

    getMaintenanceJob: ({ jobId }: GetMaintenanceJobRequest) => ({
      job: jobMessage(maintenance.get(jobId)),
    }),

    listMaintenanceJobs: () => ({ jobs: maintenance.list().map(jobMessage) }),

    async cancelMaintenanceJob({ jobId }: CancelMaintenanceJobRequest, context: CallContext) {
      const call = scopedCall(context, {});
      return { job: jobMessage(await cancelMaintenance(store, call, jobId)) };
    },
  };
}

function jobMessage(job: MaintenanceJob): MessageInitShape<typeof MaintenanceJobSchema> {
  const { jobId, target, phase, unit, error, principal, endedAtMs } = job;
  return {
    ...{ jobId, target, phase, unit, error, principal },
    kind: kinds[job.kind],
    state: states[job.state],
    done: BigInt(job.done),
    total: BigInt(job.total),
    startedAt: fromMillis(job.startedAtMs),
    ...(endedAtMs === undefined ? {} : { endedAt: fromMillis(endedAtMs) }),
  };
}
