/** Every service of the API, over one store. */

import type { AdminStore } from '../store/store.js';
import { adminService } from './admin-service.js';
import { auditService } from './audit-service.js';
import { clusterService } from './cluster-service.js';
import type { ServiceDefinition } from './handler.js';
import { hookService } from './hook-service.js';
import { projectService } from './project-service.js';
import { storageService } from './storage-service.js';
import { versionService } from './version-service.js';

/** The services, in the order in which they are listed. */
export function createServices(store: AdminStore): ServiceDefinition[] {
  return [
    storageService(store),
    versionService(store),
    auditService(store),
    hookService(store),
    projectService(store),
    clusterService(store),
    adminService(store),
  ];
}
