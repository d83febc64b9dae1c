/** AuditService: what happened to a key. */

import type { AuditService } from '../../gen/stowage/v1/audit_service_pb.js';
import { listObjectTrail } from '../store/object-trail.js';
import type { Store } from '../store/store.js';
import { type Handlers, scopedCall } from './handler.js';

/** Handlers of audit_trail.proto. */
export function auditTrailHandlers(store: Store) {
  return {
    listObjectTrail: (request, context) =>
      listObjectTrail(store, scopedCall(context, request), request),
  } satisfies Partial<Handlers<typeof AuditService>>;
}
