/** AuditService: partitions as they are listed, and as they leave. */

import type { AuditService } from '../../gen/stowage/v1/audit_service_pb.js';
import { invalidField } from '../errors.js';
import { applyRetention } from '../store/apply-retention.js';
import { listPartitions, sourceNames } from '../store/partitions.js';
import type { AdminStore } from '../store/store.js';
import { type Handlers, scopedCall } from './handler.js';

/** Handlers of audit_retention.proto but the seals'. */
export function auditRetentionHandlers(store: AdminStore) {
  return {
    listPartitions: async (request, context) => ({
      partitions: await listPartitions(store, scopedCall(context, request), request.source),
    }),

    async *applyRetention({ source, retentionDays, dryRun, force, confirm }, context) {
      const name = sourceNames[source];
      if (name !== 'storage_audit' && name !== 'storage_hooks') {
        throw invalidField('source', 'must be the audit trail or the executions of hooks');
      }
      if (retentionDays === 0 && !confirm) {
        throw invalidField('confirm', 'must be set to keep today alone (retention_days is 0)');
      }
      const order = { source: name, retentionDays, dryRun, force };
      yield* applyRetention(store, scopedCall(context, {}), order);
    },
  } satisfies Partial<Handlers<typeof AuditService>>;
}
