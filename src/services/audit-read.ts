/** AuditService: what lists events and adds them up. */

import type { AuditService } from '../../gen/stowage/v1/audit_service_pb.js';
import { listEvents } from '../store/list-events.js';
import type { Store } from '../store/store.js';
import { readUserActivity } from '../store/user-activity.js';
import { type Handlers, scopedCall } from './handler.js';

/** Handlers of the unary calls of audit_read.proto. */
export function auditReadHandlers(store: Store) {
  return {
    listEvents: (request, context) => listEvents(store, scopedCall(context, request), request),

    getUserActivity: (request, context) =>
      readUserActivity(store, scopedCall(context, request), request),
  } satisfies Partial<Handlers<typeof AuditService>>;
}
