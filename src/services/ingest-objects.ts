/** IngestObjects: one commit a batch, one acknowledgement a commit, in order. */

import { create, type MessageShape } from '@bufbuild/protobuf';
import {
  type IngestObjectsRequest,
  IngestObjectsResponseSchema,
} from '../../gen/stowage/v1/storage_record_pb.js';
import { ingestBatch } from '../store/record-calls.js';
import type { Store } from '../store/store.js';
import type { CallContext } from './handler.js';
import { ingestBatches } from './ingest-batches.js';

/** Records each batch as it comes and acknowledges it once it is durable. */
export async function* ingestObjects(
  store: Store,
  requests: AsyncIterable<IngestObjectsRequest>,
  context: CallContext,
): AsyncGenerator<MessageShape<typeof IngestObjectsResponseSchema>> {
  for await (const { request, batch, call } of ingestBatches(requests, context)) {
    const { response, token } = await ingestBatch(store, call, request);
    const resumePosition = request.position;
    yield create(IngestObjectsResponseSchema, { ...response, batch, resumePosition, token });
  }
}
