/** AdminService: looks after the database behind the service, and after the answering server. */

import { AdminService } from '../../gen/stowage/v1/admin_service_pb.js';
import type { AdminStore } from '../store/store.js';
import { logLevelHandlers } from './admin-log-level.js';
import { maintenanceHandlers } from './admin-maintenance.js';
import { reportHandlers } from './admin-reports.js';
import { defineService, type Handlers, type ServiceDefinition } from './handler.js';

/** AdminService over a store. */
export function adminService(store: AdminStore): ServiceDefinition {
  const handlers = {
    ...reportHandlers(store),
    ...maintenanceHandlers(store),
    ...logLevelHandlers(store),
  } satisfies Handlers<typeof AdminService>;
  return defineService(AdminService, handlers);
}
