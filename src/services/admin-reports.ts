/** AdminService's RPCs that tell of the database. */

import type { AdminService } from '../../gen/stowage/v1/admin_service_pb.js';
import { activity } from '../store/admin/activity.js';
import { indexStatistics } from '../store/admin/indexes.js';
import { replicationStatus } from '../store/admin/replication.js';
import { riskySettings } from '../store/admin/risky-settings.js';
import { statementStatistics } from '../store/admin/statement-statistics.js';
import { databaseStatistics, tableStatistics } from '../store/admin/tables.js';
import type { AdminStore } from '../store/store.js';
import { type Handlers, scopedCall } from './handler.js';

/** The handlers over the nodes. */
export function reportHandlers(store: AdminStore) {
  return {
    getDatabaseStatistics: (request, context) =>
      databaseStatistics(store, scopedCall(context, {}), request),
    getTableStatistics: (request, context) =>
      tableStatistics(store, scopedCall(context, {}), request),
    getIndexStatistics: (request, context) =>
      indexStatistics(store, scopedCall(context, {}), request),
    getActivity: (request, context) => activity(store, scopedCall(context, {}), request),
    getStatementStatistics: (request, context) =>
      statementStatistics(store, scopedCall(context, {}), request),
    getReplicationStatus: (_request, context) => replicationStatus(store, scopedCall(context, {})),
    getRiskySettings: (request, context) => riskySettings(store, scopedCall(context, {}), request),
  } satisfies Partial<Handlers<typeof AdminService>>;
}
