/** Every service of the API, over one store. */

import type { Store } from '../store/store.js';
import type { ServiceDefinition } from './handler.js';
import { projectService } from './project-service.js';
import { storageService } from './storage-service.js';

/** The services, in the order in which they are listed. */
export function createServices(store: Store): ServiceDefinition[] {
  return [storageService(store), projectService(store)];
}
