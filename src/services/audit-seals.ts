/** AuditService: sealed months, verified. */

import type { AuditService } from '../../gen/stowage/v1/audit_service_pb.js';
import type { Store } from '../store/store.js';
import { verifySeals } from '../store/verify-seals.js';
import { type Handlers, scopedCall } from './handler.js';

/** The handler of VerifySeals. */
export function auditSealsHandlers(store: Store) {
  return {
    async *verifySeals({ startTime, endTime }, context) {
      yield* verifySeals(store, scopedCall(context, {}), { startTime, endTime });
    },
  } satisfies Partial<Handlers<typeof AuditService>>;
}
