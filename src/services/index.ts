/** Every service of the API, over one store. */

import type { ClusterStore } from '../store/store.js';
import { clusterService } from './cluster-service.js';
import type { ServiceDefinition } from './handler.js';
import { projectService } from './project-service.js';
import { storageService } from './storage-service.js';

/** The services, in the order in which they are listed. */
export function createServices(store: ClusterStore): ServiceDefinition[] {
  return [storageService(store), projectService(store), clusterService(store)];
}
