/**
 * What every stream of items does: reads slices of an order, each a short query on one node, so
 * that no snapshot is held while a slow caller reads; counts and sums up what it sends; tells where
 * it stands, in heartbeats too. What the items are is its source's business.
 */

import { crc32 } from 'node:zlib';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  StreamCheckpointSchema,
  StreamSummarySchema,
} from '../../gen/stowage/v1/stream_pb.js';
import { withHeartbeats } from '../lib/heartbeats.js';
import { fromMillis } from '../lib/timestamp.js';
import { laterTokenText } from '../lib/token-layout.js';
import type { Call, ServedBy } from '../postgres/call.js';
import type { TupleCollector } from '../postgres/router-api.js';
import type { Statement } from '../postgres/statement.js';
import { timestampMessage } from './messages.js';
import { requireProject } from './objects.js';
import type { Store } from './store.js';
import { openPosition, type Position, START, sealPosition } from './stream-position.js';

/** Items of one message; `Batch` of the wire room is one. */
export interface SliceBatch {
  /** The encoded items, tags included; may be empty where a slice has nothing to give. */
  readonly bytes: Buffer;
  readonly items: number;
  /** CRC-32 (IEEE) of `bytes`. */
  readonly crc32: number;
  /** Where the stream goes on behind this batch. */
  readonly lastKey: string;
  /** Rows of the slice that it stands for; left out: each item is one. */
  readonly rows?: number;
}

/** The fields of a message beside its items. */
export interface StreamFields {
  readonly resumeToken: string;
  readonly checkpoint: MessageInitShape<typeof StreamCheckpointSchema>;
  readonly crc32?: number;
  readonly summary?: MessageInitShape<typeof StreamSummarySchema>;
}

/** One query of a stream. */
export interface Slice {
  readonly statement: Statement;
  readonly params: readonly unknown[];
  /** Where it ends unless its rows do; undefined: where the stream does. */
  readonly end?: string | undefined;
}

/** A stream's items, in slices. */
export interface SliceSource {
  /** What the resume token is bound to beside its call. */
  readonly args: readonly string[];
  readonly collector: TupleCollector<SliceBatch>;
  /** Rows of the first slice. */
  readonly rowsFirst: number;
  /** Rows of a later slice, by what a row of the one before came to. */
  rowsNext(bytesPerRow: number): number;
  /** The slice behind `lastKey`: at most `rowsMax` rows. Asks what it must by `call`. */
  slice(lastKey: string, rowsMax: number, call: Call): Slice | Promise<Slice>;
  /** Encodes a message without items. */
  encode(fields: StreamFields): Uint8Array;
}

/** Where a stream stands: what its messages tell. */
interface Progress {
  position: Position;
  resumeToken: string;
  /** Who serves it, from the first statement to the last. */
  served: ServedBy | undefined;
  /** The latest freshness token of its reads: it covers all that was sent. */
  token: string;
}

/**
 * Streams encoded messages, heartbeats among them; the last has the summary. Leaving early ends the
 * query.
 * @throws StowageError PROJECT_NOT_FOUND, RESUME_TOKEN_MISMATCH, and those of `router.stream`.
 */
export function streamSlices(
  store: Store,
  call: Call,
  source: SliceSource,
  resumeToken: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const progress: Progress = { position: START, resumeToken, served: undefined, token: '' };
  const watched: Call = {
    ...call,
    onServed(servedBy, token) {
      if (progress.served === undefined) call.onServed(servedBy, token);
      progress.served ??= servedBy;
      progress.token = laterTokenText(progress.token, token ?? '');
    },
  };
  const messages = streamMessages(store, watched, source, progress);
  return withHeartbeats(messages, store.heartbeatMs, () => source.encode(fieldsOf(progress)));
}

async function* streamMessages(
  store: Store,
  call: Call,
  source: SliceSource,
  progress: Progress,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { args, collector } = source;
  progress.position = await openPosition(store.sealer, call, args, progress.resumeToken);
  await requireProject(store, call);
  const move = async (position: Position): Promise<void> => {
    const resumeToken = await sealPosition(store.sealer, call, args, position);
    // Both at once and when the items leave: a heartbeat tells of what was sent.
    Object.assign(progress, { position, resumeToken } satisfies Partial<Progress>);
  };
  for (let rowsMax = source.rowsFirst; ; ) {
    const before = progress.position;
    const limit = rowsMax;
    const { statement, params, end } = await source.slice(before.lastKey, limit, call);
    const node = progress.served?.node;
    const options = node === undefined ? { collector } : { collector, node };
    let rows = 0;
    for await (const batch of store.router.stream(statement, params, call, options)) {
      rows += batch.rows ?? batch.items;
      await move(advance(progress.position, batch));
      if (batch.items === 0) continue;
      // The items' bytes as they are, then the other fields: a message is the sum of its parts.
      const rest = source.encode({ ...fieldsOf(progress), crc32: batch.crc32 });
      yield Buffer.concat([batch.bytes, rest]);
    }
    if (rows > 0) rowsMax = source.rowsNext((progress.position.bytes - before.bytes) / rows);
    if (rows === limit) continue;
    if (end === undefined) break;
    // So that a stream that finds little does not look again at what it has passed.
    await move({ ...progress.position, lastKey: end });
  }
  progress.resumeToken = await sealPosition(store.sealer, call, args, progress.position);
  const { items, bytes, crc32: sum } = progress.position;
  const summary = { items: BigInt(items), bytes: BigInt(bytes), crc32: sum, token: progress.token };
  yield source.encode({ ...fieldsOf(progress), summary });
}

function advance(position: Position, batch: SliceBatch): Position {
  return {
    lastKey: batch.lastKey,
    items: position.items + batch.items,
    bytes: position.bytes + batch.bytes.length,
    crc32: crc32(batch.bytes, position.crc32),
  };
}

function fieldsOf({ position, resumeToken, served }: Progress): StreamFields {
  const checkpoint = {
    serverTime: timestampMessage(fromMillis(Date.now())),
    node: served?.node ?? '',
    role: served?.role ?? '',
    items: BigInt(position.items),
  };
  return { resumeToken, checkpoint };
}
