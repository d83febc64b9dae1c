/**
 * Versions as a stream in the order of their keys, the newest of a key first; see
 * snapshot-stream.ts. What may change of a version is shown as it is when it is read.
 */

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ObjectVersionSchema } from '../../gen/stowage/v1/version_pb.js';
import { StreamVersionsResponseSchema } from '../../gen/stowage/v1/version_read_pb.js';
import type { Call } from '../postgres/call.js';
import { createBatchCollector } from '../wire/batch-collector.js';
import { compileTupleEncoder } from '../wire/tuple-encoder.js';
import { prefixCeiling } from './object-keys.js';
import { PASSED_ROWS } from './slice-size.js';
import type { Slice } from './slice-stream.js';
import { type SnapshotSource, streamSnapshot } from './snapshot-stream.js';
import type { Store } from './store.js';
import { streamOlderVersions, streamVersions, versionsBoundary } from './stream-versions.sql.js';
import { versionColumns } from './version-columns.js';

/** Which versions, from where. */
interface VersionStream {
  readonly prefix: string;
  /** Empty: from the beginning. */
  readonly resumeToken: string;
}

const SEQ_BYTES = 8;

const encoder = compileTupleEncoder(ObjectVersionSchema, versionColumns, {
  field: StreamVersionsResponseSchema.field.versions,
  unsent: 1,
});

/**
 * Streams encoded StreamVersionsResponse messages.
 * @throws StowageError those of `streamSnapshot`.
 */
export function streamAllVersions(
  store: Store,
  call: Call,
  { prefix, resumeToken }: VersionStream,
): AsyncGenerator<Uint8Array, void, undefined> {
  const source: SnapshotSource = {
    range: { source: 'storage_versions', start: '-infinity', end: 'infinity' },
    args: [prefix],
    collector: createBatchCollector({ encoder, key: readKey, tailBytes: SEQ_BYTES }),
    slice: (after, rowsMax, snapshot, known) =>
      versionSlice(store, known, prefix, after, rowsMax, snapshot),
    encode: (fields) =>
      toBinary(StreamVersionsResponseSchema, create(StreamVersionsResponseSchema, fields)),
  };
  return streamSnapshot(store, call, source, resumeToken);
}

/** Below the seq of every version. */
const NO_SEQ = '0';

const keyOf = (seq: string, objectKey: string) => `${seq} ${objectKey}`;

function readKey(message: Buffer, tail: Buffer): string {
  const { objectKey } = fromBinary(ObjectVersionSchema, message);
  return keyOf(String(tail.readBigInt64BE()), objectKey);
}

/**
 * The rest of a key's versions is a slice of its own: a comparison of key and seq, whose orders are
 * opposite, would pass all newer versions of the key again.
 */
async function versionSlice(
  store: Store,
  call: Call,
  prefix: string,
  after: string,
  rowsMax: number,
  snapshot: string,
): Promise<Slice> {
  const { project } = call;
  const [seq, key] = splitKey(after);
  if (seq !== NO_SEQ) {
    const params = [project, key, seq, rowsMax, snapshot];
    return { statement: streamOlderVersions, params, end: keyOf(NO_SEQ, key) };
  }
  const ceiling = prefixCeiling(prefix);
  const boundary = [project, key, prefix, ceiling, PASSED_ROWS - 1];
  const [last] = await store.router.run(versionsBoundary, boundary, call);
  // No key has U+0000, so nothing lies between a key and the key with U+0001.
  const until = last === undefined ? ceiling : `${last.object_key}\u0001`;
  const params = [project, key, prefix, until, rowsMax, snapshot];
  const end = last && keyOf(NO_SEQ, last.object_key);
  return { statement: streamVersions, params, end };
}

function splitKey(after: string): readonly [seq: string, key: string] {
  if (after === '') return [NO_SEQ, ''];
  const at = after.indexOf(' ');
  return [after.slice(0, at), after.slice(at + 1)];
}
