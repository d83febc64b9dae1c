/**
 * What every stream of items does: reads slices of an order, each a short query on one node, so
 * that no snapshot is held while a slow caller reads; goes on elsewhere when that node fails;
 * counts and sums up what it sends; tells where it stands, in heartbeats too. What the items are is
 * its source's business.
 */

import { crc32 } from 'node:zlib';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  StreamCheckpointSchema,
  StreamSummarySchema,
} from '../../gen/stowage/v1/stream_pb.js';
import { StowageError } from '../errors.js';
import { backoffMs, pauseWithin } from '../lib/backoff.js';
import { withHeartbeats } from '../lib/heartbeats.js';
import { fromMillis } from '../lib/timestamp.js';
import { laterTokenText } from '../lib/token-layout.js';
import type { Call, ServedBy } from '../postgres/call.js';
import type { TupleCollector } from '../postgres/router-api.js';
import { repetition } from '../postgres/sqlstate.js';
import type { Statement } from '../postgres/statement.js';
import { type StreamItemsEvent, streamItemsChannel } from './events.js';
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
  /** Rows of a later slice, by what a row of the one before came to; at least 1. */
  rowsNext(bytesPerRow: number): number;
  /**
   * Asked once instead of for the project, where a stream needs more than that: gives where it goes
   * on, and from which token on a node may serve it; refuses a project that is not there, which a
   * standby may not have heard of yet.
   */
  open?(position: Position, call: Call): Promise<Pick<Position, 'lastKey' | 'token'>>;
  /** Asked ahead of the summary: throws where what was sent may not be all. */
  close?(call: Call): Promise<void>;
  /** The slice behind `lastKey`: at most `rowsMax` rows. Asks what it must by `call`. */
  slice(lastKey: string, rowsMax: number, call: Call): Slice | Promise<Slice>;
  /** Encodes a message without items. */
  encode(fields: StreamFields): Uint8Array;
}

/** Where a stream stands: what its messages tell. */
interface Progress {
  position: Position;
  resumeToken: string;
  /** Who serves it; the last one that did while it looks for another node. */
  served: ServedBy | undefined;
  /** The node that it stays on; undefined before the first statement and after a failure. */
  node: string | undefined;
  /** The latest freshness token of its reads: it covers all that was sent. */
  token: string;
}

/**
 * Streams encoded messages, heartbeats among them; the last has the summary. Leaving early ends the
 * query. A node that fails or is drained is left for another one that has at least what was read so
 * far, as one has that a stream is resumed on: callers see only another node in the checkpoints.
 * @throws StowageError PROJECT_NOT_FOUND, RESUME_TOKEN_MISMATCH, and those of `router.stream`.
 */
export function streamSlices(
  store: Store,
  call: Call,
  source: SliceSource,
  resumeToken: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const nothing = { served: undefined, node: undefined, token: '' };
  const progress: Progress = { position: START, resumeToken, ...nothing };
  const messages = streamMessages(store, watched(call, progress), source, progress);
  return withHeartbeats(messages, store.heartbeatMs, () => source.encode(fieldsOf(progress)));
}

/** The call, of which only the first read is told. */
function watched(call: Call, progress: Progress): Call {
  return {
    ...call,
    onServed(servedBy, token) {
      if (progress.served === undefined) {
        call.onServed(servedBy, token);
        progress.served = servedBy;
        progress.node = servedBy.node;
      }
      progress.token = laterTokenText(progress.token, token ?? '');
    },
  };
}

/** Failures in a row after which a stream is given up: with the pauses, seconds. */
const FAILURES_MAX = 8;
const PAUSE_MS = { first: 10, max: 1_000 };

async function* streamMessages(
  store: Store,
  call: Call,
  source: SliceSource,
  progress: Progress,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { args } = source;
  progress.position = await openPosition(store.sealer, call, args, progress.resumeToken);
  await begin(store, call, source, progress);
  let failures = 0;
  for (let rowsMax: number | undefined = source.rowsFirst; rowsMax !== undefined; ) {
    const before = progress.position;
    try {
      rowsMax = yield* streamSlice(store, call, source, progress, rowsMax);
      failures = 0;
    } catch (error) {
      failures = progress.position === before ? failures + 1 : 1;
      if (failures >= FAILURES_MAX || !mayGoOn(error, progress)) throw error;
      progress.node = undefined;
      // Rows of a batch that did not become full come again.
      source.collector.take();
      if (failures > 1) await pauseWithin(pauseMs(failures), call);
    }
  }
  await source.close?.({ ...atLeast(call, progress.token), ...UNTOLD });
  progress.resumeToken = await sealPosition(store.sealer, call, args, progress.position);
  const { items, bytes, crc32: sum } = progress.position;
  const summary = { items: BigInt(items), bytes: BigInt(bytes), crc32: sum, token: progress.token };
  yield source.encode({ ...fieldsOf(progress), summary });
}

/**
 * Asks for the project, as fresh as the call wants it. Ahead of that a resumed stream asks whether
 * what it had read is still there, for a failover may have lost it; and a node that is fresh enough
 * for the call may be behind it.
 */
async function begin(
  store: Store,
  call: Call,
  source: SliceSource,
  progress: Progress,
): Promise<void> {
  const { token } = progress.position;
  if (token !== '') await requireProject(store, { ...atLeast(call, token), ...UNTOLD });
  if (source.open !== undefined) {
    // Who answers this is told of by nobody: another node may be the first that has what is opened.
    const untold = { ...call, ...UNTOLD };
    // What a resumed one shows was settled as it began: a node that is behind that tells nothing.
    if (token === '') await requireProject(store, untold).catch(unlessMissing);
    const opened = await source.open(progress.position, untold);
    progress.token = opened.token;
    return move(store, call, source, progress, { ...progress.position, ...opened });
  }
  await requireProject(store, call);
  const latest = laterTokenText(progress.token, token);
  if (latest !== progress.token) Object.assign(progress, { token: latest, node: undefined });
}

/** A node that is behind may not have the project yet: who opens a stream asks the primary. */
function unlessMissing(error: unknown): void {
  if (!(error instanceof StowageError) || error.reason !== 'PROJECT_NOT_FOUND') throw error;
}

/** Of a read whose node and token say nothing of what is sent. */
const UNTOLD: Pick<Call, 'onServed'> = { onServed: () => undefined };

/** Streams one slice; gives the rows of the next one, undefined at the end. */
async function* streamSlice(
  store: Store,
  call: Call,
  source: SliceSource,
  progress: Progress,
  rowsMax: number,
): AsyncGenerator<Uint8Array, number | undefined, undefined> {
  const { collector } = source;
  const before = progress.position;
  const { statement, params, end } = await source.slice(before.lastKey, rowsMax, {
    ...call,
    ...UNTOLD,
  });
  const { node } = progress;
  const options = node === undefined ? { collector } : { collector, node };
  let rows = 0;
  for await (const batch of store.router.stream(
    statement,
    params,
    slicing(call, progress),
    options,
  )) {
    rows += batch.rows ?? batch.items;
    await move(store, call, source, progress, advance(progress, batch));
    if (batch.items === 0) continue;
    // The items' bytes as they are, then the other fields: a message is the sum of its parts.
    const rest = source.encode({ ...fieldsOf(progress), crc32: batch.crc32 });
    const { items, bytes } = batch;
    const sent = { method: call.method, items, bytes: bytes.length } satisfies StreamItemsEvent;
    streamItemsChannel.publish(sent);
    yield Buffer.concat([bytes, rest]);
  }
  const bytesPerRow = (progress.position.bytes - before.bytes) / rows;
  const rowsNext = rows > 0 ? source.rowsNext(bytesPerRow) : rowsMax;
  if (rows === rowsMax) return rowsNext;
  if (end === undefined) return undefined;
  // So that a stream that finds little does not look again at what it has passed.
  const { position, token } = progress;
  await move(store, call, source, progress, { ...position, lastKey: end, token });
  return rowsNext;
}

/** Both at once and when the items leave: a heartbeat tells of what was sent. */
async function move(
  store: Store,
  call: Call,
  { args }: SliceSource,
  progress: Progress,
  position: Position,
): Promise<void> {
  const resumeToken = await sealPosition(store.sealer, call, args, position);
  Object.assign(progress, { position, resumeToken } satisfies Partial<Progress>);
}

/**
 * The call of a slice: its node must have what was read so far, be it another one or the same one,
 * for a standby that was restarted since may have to replay that again.
 */
function slicing(call: Call, progress: Progress): Call {
  return {
    ...atLeast(call, progress.token),
    onServed(servedBy, read) {
      call.onServed(servedBy, read);
      progress.served = servedBy;
      progress.node = servedBy.node;
    },
  };
}

/** The call, of data that a token tells of; as it is where there is no token. */
function atLeast(call: Call, token: string): Call {
  return token === '' ? call : { ...call, freshness: { kind: 'at_least', token } };
}

/** Whether a stream goes on elsewhere after a failure: not before it has begun anywhere. */
function mayGoOn(error: unknown, { served }: Progress): boolean {
  if (served === undefined || !(error instanceof StowageError)) return false;
  // The node is drained or unreachable, or no other one is there yet.
  if (error.reason === 'NO_NODE' || error.reason === 'STANDBY_BEHIND') return true;
  return repetition(error, { role: served.role, mustReplay: undefined }) !== 'never';
}

const pauseMs = (failures: number) => backoffMs(failures - 1, PAUSE_MS.first, PAUSE_MS.max);

function advance({ position, token }: Progress, batch: SliceBatch): Position {
  return {
    token,
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
