/** IngestObjects: one commit a batch, one acknowledgement a commit, in order. */

import { create, type MessageShape } from '@bufbuild/protobuf';
import {
  type IngestObjectsRequest,
  IngestObjectsResponseSchema,
} from '../../gen/stowage/v1/storage_record_pb.js';
import { invalidField } from '../errors.js';
import { ingestBatch } from '../store/record-calls.js';
import type { Store } from '../store/store.js';
import { type CallContext, scopedCall } from './handler.js';

/** How long one batch may take; the stream as a whole has no deadline. */
const BATCH_TIMEOUT_MS = 30_000;

/**
 * Records each batch as it comes and acknowledges it once it is durable. A batch is read only when
 * the one before is committed, so that the transport holds the sender back.
 */
export async function* ingestObjects(
  store: Store,
  requests: AsyncIterable<IngestObjectsRequest>,
  context: CallContext,
): AsyncGenerator<MessageShape<typeof IngestObjectsResponseSchema>> {
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
    const { response, token } = await ingestBatch(store, call, request);
    const resumePosition = request.position;
    yield create(IngestObjectsResponseSchema, { ...response, batch, resumePosition, token });
  }
}
