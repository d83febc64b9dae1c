/** IngestEvents: one commit a batch, one acknowledgement a commit, in order. */

import { create, type MessageShape } from '@bufbuild/protobuf';
import {
  type IngestEventsRequest,
  IngestEventsResponseSchema,
} from '../../gen/stowage/v1/audit_append_pb.js';
import { invalidField } from '../errors.js';
import type { Appender } from '../store/append-calls.js';
import { eventRow } from '../store/event-row.js';
import { type CallContext, scopedCall } from './handler.js';

/** How long one batch may take; the stream as a whole has no deadline. */
const BATCH_TIMEOUT_MS = 30_000;

/**
 * Appends each batch as it comes and acknowledges it once it is durable. A batch is read only when
 * the one before is committed, so that the transport holds the sender back.
 */
export async function* ingestEvents(
  events: Appender,
  requests: AsyncIterable<IngestEventsRequest>,
  context: CallContext,
): AsyncGenerator<MessageShape<typeof IngestEventsResponseSchema>> {
  let project: string | undefined;
  let batch = 0n;
  for await (const request of requests) {
    project ??= request.project;
    if (request.project !== '' && request.project !== project) {
      throw invalidField('project', 'cannot change within a stream; open another stream');
    }
    batch += 1n;
    const deadlineMs = performance.now() + BATCH_TIMEOUT_MS;
    const call = { ...scopedCall(context, { project }), deadlineMs };
    const nowMs = Date.now();
    const rows = request.events.map((event, at) => eventRow(event, `events[${at}]`, nowMs));
    const { appended, token } = await events.many(call, rows);
    const known = BigInt(rows.length) - appended;
    const resumePosition = request.position;
    yield create(IngestEventsResponseSchema, { batch, resumePosition, appended, known, token });
  }
}
