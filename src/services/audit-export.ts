/** AuditService: exportEvents. */

import type { AuditService } from '../../gen/stowage/v1/audit_service_pb.js';
import type { Store } from '../store/store.js';
import type { Handlers } from './handler.js';
import { pending } from './pending.js';

/** Its handlers. */
export function auditExportHandlers(_store: Store) {
  return pending(['exportEvents']) as Pick<Handlers<typeof AuditService>, 'exportEvents'>;
}
