/** IngestEvents: one commit a batch, one acknowledgement a commit, in order. */

import { create, type MessageShape } from '@bufbuild/protobuf';
import {
  type IngestEventsRequest,
  IngestEventsResponseSchema,
} from '../../gen/stowage/v1/audit_append_pb.js';
import type { Appender } from '../store/append-calls.js';
import { eventRow } from '../store/event-row.js';
import type { CallContext } from './handler.js';
import { ingestBatches } from './ingest-batches.js';

/** Appends each batch as it comes and acknowledges it once it is durable. */
export async function* ingestEvents(
  events: Appender,
  requests: AsyncIterable<IngestEventsRequest>,
  context: CallContext,
): AsyncGenerator<MessageShape<typeof IngestEventsResponseSchema>> {
  for await (const { request, batch, call } of ingestBatches(requests, context)) {
    const nowMs = Date.now();
    const rows = request.events.map((event, at) => eventRow(event, `events[${at}]`, nowMs));
    const { appended, token } = await events.many(call, rows);
    const known = BigInt(rows.length) - appended;
    const resumePosition = request.position;
    yield create(IngestEventsResponseSchema, { batch, resumePosition, appended, known, token });
  }
}
