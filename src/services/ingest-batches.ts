/** What every ingest does with its stream, whatever its batches consist of. */

import { invalidField } from '../errors.js';
import type { Call } from '../postgres/call.js';
import { type CallContext, scopedCall } from './handler.js';

/** How long one batch may take; the stream as a whole has no deadline. */
const BATCH_TIMEOUT_MS = 30_000;

/** One batch of an ingest. */
interface IngestBatch<Request> {
  readonly request: Request;
  /** Its place in the stream, from 1. */
  readonly batch: bigint;
  /** What it is committed by. */
  readonly call: Call;
}

/**
 * Gives each batch as it comes. One is read only when the one before was dealt with, so that the
 * transport holds the sender back.
 * @throws StowageError INVALID_REQUEST where the project changes.
 */
export async function* ingestBatches<Request extends { readonly project: string }>(
  requests: AsyncIterable<Request>,
  context: CallContext,
): AsyncGenerator<IngestBatch<Request>> {
  let project: string | undefined;
  let batch = 0n;
  for await (const request of requests) {
    project ??= request.project;
    if (request.project !== '' && request.project !== project) {
      throw invalidField('project', 'cannot change within a stream; open another stream');
    }
    batch += 1n;
    const deadlineMs = performance.now() + BATCH_TIMEOUT_MS;
    yield { request, batch, call: { ...scopedCall(context, { project }), deadlineMs } };
  }
}
