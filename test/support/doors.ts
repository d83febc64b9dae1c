// Both doors over handlers of the test's own: no database, every behaviour by the key asked for.
import { create, toBinary } from '@bufbuild/protobuf';
import type { Transport } from '@connectrpc/connect';
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from '@connectrpc/connect-node';
import { StreamObjectsResponseSchema } from '../../gen/stowage/v1/storage_list_pb.js';
import { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { parseConfig, type ServerSettings } from '../../src/config.js';
import { type Reason, StowageError } from '../../src/errors.js';
import { type ConnectDoor, openConnectDoor } from '../../src/server/connect.js';
import { type GrpcDoor, openGrpcDoor } from '../../src/server/grpc.js';
import { Health, type HealthSource } from '../../src/server/health.js';
import type { HttpLimits } from '../../src/server/http-listener.js';
import { Pipeline } from '../../src/server/pipeline.js';
import { reflectionServices } from '../../src/server/reflection.js';
import {
  type CallContext,
  defineService,
  EncodedMessage,
  type Handlers,
} from '../../src/services/handler.js';

import { pagesOver } from './health.js';
import { snapshotOf, topologyOf } from './topology-snapshots.js';

/** What handlers saw, for tests to wait on and look at. */
export interface Seen {
  /** Resolves with the context of the next call that hangs. */
  nextHanging(): Promise<CallContext>;
  /** Streams whose `finally` has run. */
  left: number;
  /** Requests taken from bidi streams so far. */
  taken: number;
  sent: number;
}

/** Both doors and all that is behind them. */
export interface Doors {
  readonly pipeline: Pipeline;
  readonly health: Health;
  readonly source: SettableHealth;
  readonly grpc: GrpcDoor;
  readonly connect: ConnectDoor;
  readonly grpcUrl: string;
  readonly httpUrl: string;
  readonly seen: Seen;
  close(): Promise<void>;
}

/** A health source whose answers a test sets. */
export class SettableHealth implements HealthSource {
  readonly #listeners = new Set<() => void>();
  #read = true;
  #write = true;

  /** A primary alone, a standby alone, or nothing at all. */
  readonly topology = () => {
    const [name, state] = this.#write
      ? (['a:1', 'primary'] as const)
      : (['b:2', 'standby'] as const);
    const nodes = this.#read
      ? [snapshotOf(name, { state })]
      : [snapshotOf('a:1', { state: 'unreachable' })];
    return topologyOf({ nodes, canRead: this.#read, hasPrimary: this.#write });
  };

  canRead(): boolean {
    return this.#read;
  }

  canWrite(): boolean {
    return this.#write;
  }

  set(read: boolean, write: boolean): void {
    this.#read = read;
    this.#write = write;
    for (const listener of this.#listeners) {
      listener();
    }
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }
}

interface Waiter<T> {
  next(): Promise<T>;
  give(value: T): void;
}

function waiter<T>(): Waiter<T> {
  const given: T[] = [];
  const waiting: ((value: T) => void)[] = [];
  return {
    next: () =>
      new Promise((resolve) => {
        const value = given.shift();
        if (value === undefined) {
          waiting.push(resolve);
        } else {
          resolve(value);
        }
      }),
    give: (value) => {
      const resolve = waiting.shift();
      if (resolve === undefined) {
        given.push(value);
      } else {
        resolve(value);
      }
    },
  };
}

const secret = 'relation "storage_objects" does not exist';

function unasked(): never {
  throw new StowageError('UNIMPLEMENTED');
}

/** What no test asks for. */
export const unaskedHandlers = Object.fromEntries(
  StorageService.methods.map(({ localName }) => [localName, unasked]),
) as unknown as Handlers<typeof StorageService>;

function storage(hanging: Waiter<CallContext>, seen: Seen, own: StorageHandlers) {
  const hang = (context: CallContext) => {
    hanging.give(context);
    return new Promise<never>(() => undefined);
  };
  return defineService(StorageService, {
    ...unaskedHandlers,
    getObject({ objectKey }, context) {
      context.responseHeaders.set('stowage-token', 'a-token');
      if (objectKey.startsWith('reason/')) {
        const reason = objectKey.slice('reason/'.length) as Reason;
        throw new StowageError(reason, { metadata: { object_key: objectKey } });
      }
      if (objectKey === 'defect') throw new TypeError(secret);
      if (objectKey === 'hang') return hang(context);
      return { object: { objectKey, owner: context.principal, size: 5n } };
    },
    async *streamObjects({ prefix }, context) {
      try {
        const [kind, count = '0', bytes = '10'] = prefix.split(':');
        for (let index = 0; index < Number(count); index += 1) {
          seen.sent += 1;
          yield streamMessage(index, Number(bytes));
        }
        if (kind === 'fail') throw new StowageError('NO_NODE', { retryDelayMs: 250 });
        if (kind === 'hang') await hang(context);
      } finally {
        seen.left += 1;
      }
    },
    async *ingestObjects(requests) {
      try {
        for await (const request of requests) {
          seen.taken += 1;
          yield { batch: BigInt(seen.taken), resumePosition: request.position };
        }
      } finally {
        seen.left += 1;
      }
    },
    recordObject: ({ object }) => (object === undefined ? {} : { object }),
    batchRecordObjects: ({ requests }) => ({ results: requests.map(() => ({ revision: 1n })) }),
    ...own,
  } satisfies Handlers<typeof StorageService>);
}

/** Every other message is encoded already. */
function streamMessage(index: number, bytes: number) {
  const message = create(StreamObjectsResponseSchema, {
    resumeToken: 't'.repeat(bytes),
    objects: [{ objectKey: String(index) }],
  });
  return index % 2 === 0
    ? message
    : new EncodedMessage(toBinary(StreamObjectsResponseSchema, message));
}

/** Handlers that a test has instead of those here. */
export type StorageHandlers = Partial<Handlers<typeof StorageService>>;

/** Opens both doors on free ports. */
export async function openDoors(
  settings: Partial<ServerSettings> = {},
  limits?: HttpLimits,
  own: StorageHandlers = {},
): Promise<Doors> {
  const standard = parseConfig({}).server;
  const server: ServerSettings = {
    ...standard,
    grpcAddress: { host: '127.0.0.1', port: 0 },
    httpAddress: { host: '127.0.0.1', port: 0 },
    ...settings,
  };
  const hanging = waiter<CallContext>();
  const seen: Seen = {
    nextHanging: hanging.next,
    left: 0,
    taken: 0,
    sent: 0,
  };
  const source = new SettableHealth();
  const health = new Health(source, [StorageService.typeName]);
  const api = [storage(hanging, seen, own), health.service()];
  const services = [...api, ...reflectionServices(api.map(({ descriptor }) => descriptor))];
  const pipeline = new Pipeline(server);
  const grpc = await openGrpcDoor(server, services, pipeline);
  const pages = pagesOver(health, source.topology, server.authToken);
  const connect = await openConnectDoor(server, services, pipeline, pages, limits);
  return {
    pipeline,
    health,
    source,
    grpc,
    connect,
    grpcUrl: `http://127.0.0.1:${grpc.address.port}`,
    httpUrl: `http://127.0.0.1:${connect.address.port}`,
    seen,
    close: async () => {
      await Promise.all([grpc.close(), connect.close()]);
    },
  };
}

/** A way to call: a door and a protocol. */
export interface Way {
  readonly name: string;
  /** HTTP/1.1 has no bidi streams. */
  readonly isHttp2: boolean;
  open(doors: Doors): { readonly transport: Transport; close(): void };
}

function http2Way(
  name: string,
  url: (doors: Doors) => string,
  make: (baseUrl: string, sessionManager: Http2SessionManager) => Transport,
): Way {
  return {
    name,
    isHttp2: true,
    open: (doors) => {
      const sessions = new Http2SessionManager(url(doors));
      return { transport: make(url(doors), sessions), close: () => sessions.abort() };
    },
  };
}

function http1Way(name: string, make: (baseUrl: string) => Transport): Way {
  return {
    name,
    isHttp2: false,
    open: (doors) => ({ transport: make(doors.httpUrl), close: () => undefined }),
  };
}

/** Every door and protocol, so that what is promised is promised by each. */
export const ways: readonly Way[] = [
  http2Way(
    'gRPC at door 1',
    (doors) => doors.grpcUrl,
    (baseUrl, sessionManager) => createGrpcTransport({ baseUrl, sessionManager }),
  ),
  http2Way(
    'gRPC at door 2',
    (doors) => doors.httpUrl,
    (baseUrl, sessionManager) => createGrpcTransport({ baseUrl, sessionManager }),
  ),
  http2Way(
    'Connect protobuf over HTTP/2',
    (doors) => doors.httpUrl,
    (baseUrl, sessionManager) =>
      createConnectTransport({
        baseUrl,
        sessionManager,
        httpVersion: '2',
        useBinaryFormat: true,
      }),
  ),
  http1Way('Connect JSON over HTTP/1.1', (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: '1.1', useBinaryFormat: false }),
  ),
  http1Way('gRPC-Web over HTTP/1.1', (baseUrl) =>
    createGrpcWebTransport({ baseUrl, httpVersion: '1.1' }),
  ),
];
