/** AuditService: the audit trail, in files like those of its protos. */

import { AuditService } from '../../gen/stowage/v1/audit_service_pb.js';
import type { AdminStore } from '../store/store.js';
import { auditAppendHandlers } from './audit-append.js';
import { auditExportHandlers } from './audit-export.js';
import { auditReadHandlers } from './audit-read.js';
import { auditRetentionHandlers } from './audit-retention.js';
import { auditSealsHandlers } from './audit-seals.js';
import { auditTrailHandlers } from './audit-trail.js';
import { defineService, type Handlers, type ServiceDefinition } from './handler.js';

/** AuditService over a store. */
export function auditService(store: AdminStore): ServiceDefinition {
  const handlers = {
    ...auditAppendHandlers(store),
    ...auditReadHandlers(store),
    ...auditExportHandlers(store),
    ...auditTrailHandlers(store),
    ...auditRetentionHandlers(store),
    ...auditSealsHandlers(store),
  } satisfies Handlers<typeof AuditService>;
  return defineService(AuditService, handlers);
}
