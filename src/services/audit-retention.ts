/** AuditService: listPartitions, applyRetention. */

import type { AuditService } from '../../gen/stowage/v1/audit_service_pb.js';
import type { Store } from '../store/store.js';
import type { Handlers } from './handler.js';
import { pending } from './pending.js';

/** Its handlers. */
export function auditRetentionHandlers(_store: Store) {
  return pending(['listPartitions', 'applyRetention']) as Pick<
    Handlers<typeof AuditService>,
    'listPartitions' | 'applyRetention'
  >;
}
