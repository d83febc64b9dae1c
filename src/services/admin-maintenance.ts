/** AdminService's RPCs of maintenance jobs. */

import { StowageError } from '../errors.js';
import type { AdminStore } from '../store/store.js';

/** The handlers over the answering server's jobs. */
export function maintenanceHandlers(_store: AdminStore) {
  const later = () => {
    throw new StowageError('UNIMPLEMENTED');
  };
  return {
    vacuum: later,
    analyze: later,
    reindexConcurrently: later,
    getMaintenanceJob: later,
    listMaintenanceJobs: later,
    cancelMaintenanceJob: later,
  };
}
