/**
 * Both doors over handlers that do what keys and prefixes say, and clients of them: what a test of
 * the client works with.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { createStowage, type Stowage, type TransportOptions } from '../../src/client/index.js';
import { until } from '../../src/lib/wait.js';
import type { CallContext } from '../../src/services/handler.js';
import { type Doors, openDoors, type StorageHandlers } from './doors.js';

/** The doors by the names of their addresses. */
export const doorUrls = ['grpcUrl', 'httpUrl'] as const;
export type DoorUrl = (typeof doorUrls)[number];

/** What the tests of a file share; there once `beforeAll` has run. */
export interface ClientDoors {
  readonly doors: Doors;
  /** Every call that has come, in order. */
  readonly contexts: CallContext[];
  /** Messages that handlers of streams have given. */
  sent: number;
  /** Makes a client, which is closed after the test. */
  open(door: DoorUrl, options?: Partial<TransportOptions>): Stowage;
  /** Resolves once the server knows that the newest call has ended early. */
  hasLeft(): Promise<unknown>;
}

function aborted({ signal }: CallContext): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });
}

function handlersOf(state: Pick<ClientDoors, 'contexts' | 'sent'>): StorageHandlers {
  const { contexts } = state;
  return {
    async getObject({ objectKey }, context) {
      contexts.push(context);
      context.responseHeaders.set('x-answer', encodeURIComponent(objectKey));
      if (objectKey === 'hang') await aborted(context);
      return { object: { objectKey } };
    },
    async *streamObjects({ prefix }, context) {
      contexts.push(context);
      const [kind, count = '0', bytes = '1'] = prefix.split(':');
      for (let index = 0; index < Number(count); index += 1) {
        state.sent += 1;
        // Door 2 compresses, which what is random withstands.
        const resumeToken = randomBytes(Number(bytes)).toString('base64');
        yield { resumeToken, objects: [{ objectKey: String(index) }] };
      }
      if (kind === 'hang') await aborted(context);
    },
    async *ingestObjects(requests, context) {
      contexts.push(context);
      for await (const { position } of requests) {
        if (position === 'hang') await aborted(context);
        yield { resumePosition: position };
        if (position === 'stall') await aborted(context);
      }
    },
  };
}

/** Registers the hooks that open and close the doors. */
export function useClientDoors(): ClientDoors {
  const opened: Stowage[] = [];
  let doors: Doors | undefined;
  const made: ClientDoors = {
    get doors() {
      if (doors === undefined) throw new Error('the doors are there once the tests run');
      return doors;
    },
    contexts: [],
    sent: 0,
    open(door, options = {}) {
      const client = createStowage({ endpoints: made.doors[door], ...options });
      opened.push(client);
      return client;
    },
    hasLeft: () => {
      const context = made.contexts.at(-1);
      const isLeft = () => context?.signal.aborted;
      return until(isLeft, { timeoutMs: 5_000, what: 'the server is told' });
    },
  };
  beforeAll(async () => {
    doors = await openDoors({}, undefined, handlersOf(made));
  });
  afterEach(() => {
    for (const client of opened.splice(0)) client.close();
  });
  afterAll(async () => {
    await doors?.close();
  });
  return made;
}

/** All messages of a stream. */
export async function collect<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const message of messages) all.push(message);
  return all;
}

/** A batch of one object. */
export const batch = (position: string) => ({
  position,
  objects: [{ objectKey: 'k', storageBackend: 'local' }],
});

/** Batches with these positions, one after another. */
export async function* batches(...positions: string[]) {
  for (const position of positions) yield batch(position);
}
