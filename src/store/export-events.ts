/** Audit events as a stream in the order of time; see snapshot-stream.ts. */

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { AuditEventSchema, type AuditFilter } from '../../gen/stowage/v1/audit_pb.js';
import { ExportEventsResponseSchema } from '../../gen/stowage/v1/audit_read_pb.js';
import type { Call } from '../postgres/call.js';
import { createBatchCollector } from '../wire/batch-collector.js';
import { compileTupleEncoder } from '../wire/tuple-encoder.js';
import { auditColumns } from './audit-columns.js';
import {
  checkFilter,
  EARLIEST,
  type EventFilter,
  filterBinding,
  filterParams,
  LATEST,
} from './audit-filter.js';
import { eventSlices } from './export-events.sql.js';
import { type SnapshotSource, streamSnapshot } from './snapshot-stream.js';
import type { Store } from './store.js';
import { keyOfPlace, timeSlice } from './time-slices.js';

/** Which events, from where. */
interface EventExport {
  readonly filter?: AuditFilter | undefined;
  /** Empty: from the beginning. */
  readonly resumeToken: string;
}

const encoder = compileTupleEncoder(AuditEventSchema, auditColumns, {
  field: ExportEventsResponseSchema.field.events,
});

/** The conditions that have an index in time order, those first that let the fewest through. */
const DRIVERS = ['correlationId', 'objectKey', 'userId', 'action'] as const;

/** What restricts nothing but the time. */
const ANY: Readonly<Record<Exclude<keyof EventFilter, 'startTime' | 'endTime'>, undefined>> = {
  userId: undefined,
  username: undefined,
  action: undefined,
  objectKey: undefined,
  keyPrefix: undefined,
  versionId: undefined,
  success: undefined,
  correlationId: undefined,
  metadata: undefined,
};

/**
 * Streams encoded ExportEventsResponse messages.
 * @throws StowageError INVALID_REQUEST, and those of `streamSnapshot`.
 */
export function exportEvents(
  store: Store,
  call: Call,
  { filter: asked, resumeToken }: EventExport,
): AsyncGenerator<Uint8Array, void, undefined> {
  const filter = checkFilter(asked);
  const { startTime: start = EARLIEST, endTime: end = LATEST } = filter;
  const driven = drivenBy(filter);
  const rows = {
    statements: eventSlices,
    params: filterParams(call.project, filter),
    driver: filterParams(call.project, driven),
    isWhole: filterBinding(driven).join() === filterBinding(filter).join(),
  };
  const source: SnapshotSource = {
    range: { source: 'storage_audit', start, end },
    args: filterBinding(filter),
    collector: createBatchCollector({ encoder, key: readKey }),
    slice: (after, rowsMax, snapshot, known) =>
      timeSlice(store, known, rows, after, rowsMax, snapshot),
    encode: (fields) =>
      toBinary(ExportEventsResponseSchema, create(ExportEventsResponseSchema, fields)),
  };
  return streamSnapshot(store, call, source, resumeToken);
}

/** Of a filter the condition that the slices go along, and the range. */
function drivenBy(filter: EventFilter): EventFilter {
  const { startTime, endTime } = filter;
  const driver = DRIVERS.find((name) => filter[name] !== undefined);
  const one = driver === undefined ? {} : { [driver]: filter[driver] };
  return { ...ANY, ...one, startTime, endTime };
}

function readKey(message: Buffer): string {
  const { id, timestamp } = fromBinary(AuditEventSchema, message);
  return keyOfPlace({ id, timestamp: timestamp ?? { seconds: 0n, nanos: 0 } });
}
