/** AdminService's RPCs that tell of the database. */

import { StowageError } from '../errors.js';
import type { AdminStore } from '../store/store.js';

/** The handlers over the nodes. */
export function reportHandlers(_store: AdminStore) {
  const later = () => {
    throw new StowageError('UNIMPLEMENTED');
  };
  return {
    getDatabaseStatistics: later,
    getTableStatistics: later,
    getIndexStatistics: later,
    getActivity: later,
    getStatementStatistics: later,
    getReplicationStatus: later,
    getRiskySettings: later,
  };
}
