/** The calls that record objects, each one commit. */

import { create } from '@bufbuild/protobuf';
import { type StorageObject, StorageObjectSchema } from '../../gen/stowage/v1/storage_object_pb.js';
import {
  type BatchRecordObjectsRequest,
  BatchRecordObjectsResponseSchema,
  type IngestObjectsRequest,
  IngestObjectsResponseSchema,
  type RecordObjectRequest,
  RecordObjectResponseSchema,
  RecordOutcome,
} from '../../gen/stowage/v1/storage_record_pb.js';
import { invalidField, type Reason, StowageError } from '../errors.js';
import type { Call } from '../postgres/call.js';
import { type CommitResult, commit, type Mutation } from './commit.js';
import { type IngestBatchEvent, ingestBatchChannel } from './events.js';
import { timestampMessage } from './messages.js';
import { digestInputs, type ObjectInput, objectInput } from './object-input.js';
import { metadataField } from './object-row.js';
import type { Decision } from './record-decision.js';
import { recordObjects } from './record-objects.js';
import type { Store } from './store.js';

/** The parts that every recording mutation has. */
function recording(requestId: string, inputs: readonly ObjectInput[]) {
  return {
    action: 'RECORD_OBJECT',
    requestId,
    digest: () => digestInputs(inputs),
    projectMustExist: true,
  } satisfies Partial<Mutation<typeof RecordObjectResponseSchema>>;
}

/** Records one object. */
export function recordObject(
  store: Store,
  call: Call,
  request: RecordObjectRequest,
): Promise<CommitResult<typeof RecordObjectResponseSchema>> {
  const { object } = request;
  if (object === undefined) throw invalidField('object', 'is required');
  const inputs = [objectInput(object, 'object', request)];
  return commit(store, call, {
    ...recording(request.requestId, inputs),
    responseSchema: RecordObjectResponseSchema,
    write: async (transaction) => {
      const { decisions, changes } = await recordObjects(transaction, call, inputs);
      const [decision] = decisions;
      if (decision === undefined) throw new StowageError('INTERNAL');
      const { outcome } = decision;
      const response = { object: recorded(object, decision), outcome };
      return { response: create(RecordObjectResponseSchema, response), changes };
    },
  });
}

/** The object as its row has it. */
function recorded(object: StorageObject, decision: Decision): StorageObject {
  const { input } = decision;
  return create(StorageObjectSchema, {
    objectKey: input.objectKey,
    id: decision.id,
    size: input.size,
    contentType: input.contentType,
    etag: input.etag,
    lastModified: timestampMessage(decision.lastModified),
    versionId: decision.versionId,
    storageBackend: input.storageBackend,
    storageClass: input.storageClass,
    ...metadataField(object.metadata ?? {}),
    owner: input.owner,
    createdAt: timestampMessage(decision.createdAt),
    ...(input.purgeAt === undefined ? {} : { purgeAt: timestampMessage(input.purgeAt) }),
    revision: decision.revision,
  });
}

/** Records a batch: all of it or nothing. */
export function recordBatch(
  store: Store,
  call: Call,
  request: BatchRecordObjectsRequest,
): Promise<CommitResult<typeof BatchRecordObjectsResponseSchema>> {
  const inputs = request.requests.map((item, at) => {
    const path = `requests[${at}]`;
    if (item.object === undefined) throw invalidField(`${path}.object`, 'is required');
    if (item.project !== '' || item.requestId !== '') {
      throw invalidField(path, 'project and request_id belong to the batch; leave them empty');
    }
    return objectInput(item.object, `${path}.object`, item);
  });
  return commit(store, call, {
    ...recording(request.requestId, inputs),
    responseSchema: BatchRecordObjectsResponseSchema,
    write: async (transaction) => {
      const { decisions, changes } = await recordObjects(transaction, call, inputs);
      const results = decisions.map(({ outcome, revision }) => ({ outcome, revision }));
      return { response: create(BatchRecordObjectsResponseSchema, { results }), changes };
    },
  });
}

/** Records a batch of an ingest: all of it or nothing. */
export async function ingestBatch(
  store: Store,
  call: Call,
  request: IngestObjectsRequest,
): Promise<CommitResult<typeof IngestObjectsResponseSchema>> {
  const startedAtMs = performance.now();
  const items = request.objects.length;
  const ended = (reason: Reason | undefined) => {
    const durationMs = performance.now() - startedAtMs;
    ingestBatchChannel.publish({ items, durationMs, reason } satisfies IngestBatchEvent);
  };
  try {
    const result = await commitBatch(store, call, request);
    ended(undefined);
    return result;
  } catch (error) {
    ended(error instanceof StowageError ? error.reason : 'INTERNAL');
    throw error;
  }
}

function commitBatch(
  store: Store,
  call: Call,
  request: IngestObjectsRequest,
): Promise<CommitResult<typeof IngestObjectsResponseSchema>> {
  const inputs = request.objects.map((object, at) => objectInput(object, `objects[${at}]`));
  return commit(store, call, {
    ...recording(request.requestId, inputs),
    responseSchema: IngestObjectsResponseSchema,
    write: async (transaction) => {
      const { decisions, changes } = await recordObjects(transaction, call, inputs);
      const count = (wanted: RecordOutcome) =>
        BigInt(decisions.filter(({ outcome }) => outcome === wanted).length);
      const response = create(IngestObjectsResponseSchema, {
        created: count(RecordOutcome.CREATED),
        updated: count(RecordOutcome.UPDATED),
        unchanged: count(RecordOutcome.UNCHANGED),
      });
      return { response, changes };
    },
  });
}
