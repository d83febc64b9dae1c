/** AuditService: what appends events. */

import type { AuditService } from '../../gen/stowage/v1/audit_service_pb.js';
import { invalidField } from '../errors.js';
import { Appender } from '../store/append-calls.js';
import { auditTable } from '../store/append-table.js';
import { eventRow } from '../store/event-row.js';
import { timestampMessage } from '../store/messages.js';
import type { Store } from '../store/store.js';
import { type Handlers, scopedCall } from './handler.js';
import { ingestEvents } from './ingest-events.js';

/** Handlers of audit_append.proto. */
export function auditAppendHandlers(store: Store) {
  const events = new Appender(store, auditTable);
  return {
    async appendEvent({ project, event }, context) {
      if (event === undefined) throw invalidField('event', 'is required');
      const row = eventRow(event, 'event', Date.now());
      const token = await events.one(scopedCall(context, { project }), row);
      return { id: row.id, timestamp: timestampMessage(row.timestamp), token };
    },

    async appendEvents(request, context) {
      const nowMs = Date.now();
      const rows = request.events.map((event, at) => eventRow(event, `events[${at}]`, nowMs));
      const call = scopedCall(context, { project: request.project });
      const { appended, token } = await events.many(call, rows);
      const known = BigInt(rows.length) - appended;
      return { ids: rows.map(({ id }) => id), appended, known, token };
    },

    ingestEvents: (requests, context) => ingestEvents(events, requests, context),
  } satisfies Partial<Handlers<typeof AuditService>>;
}
