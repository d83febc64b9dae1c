/** AuditService: exportEvents. */

import type { AuditService } from '../../gen/stowage/v1/audit_service_pb.js';
import { exportEvents } from '../store/export-events.js';
import type { Store } from '../store/store.js';
import { EncodedMessage, type Handlers, scopedCall } from './handler.js';

/** Its handlers. */
export function auditExportHandlers(store: Store) {
  return {
    async *exportEvents(request, context) {
      const call = scopedCall(context, request);
      for await (const bytes of exportEvents(store, call, request)) yield new EncodedMessage(bytes);
    },
  } satisfies Partial<Handlers<typeof AuditService>>;
}
