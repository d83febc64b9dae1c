/** Writers and readers that call again and again, and what they were answered. */

import type { CallError } from '../../src/client/index.js';
import { pause, until } from '../../src/lib/wait.js';
import { type Clients, failure } from './service.js';

/** What a load came to. */
export interface LoadOutcome {
  /** The keys whose write was acknowledged. */
  readonly acknowledged: readonly string[];
  readonly reads: number;
  /** The longest that a read took, in milliseconds. */
  readonly longestReadMs: number;
  /**
   * How often each kind of failure came, by `write NO_PRIMARY` and so on; a read that does not show
   * what its caller has written is one too.
   */
  readonly failures: Readonly<Record<string, number>>;
}

/** A running load. */
export interface Load {
  /** Resolves once so many more writes are acknowledged than at the call. */
  moreWrites(count: number): Promise<void>;
  /** Resolves once so many more reads are answered than at the call. */
  moreReads(count: number): Promise<void>;
  /** Lets what runs end. */
  stop(): Promise<LoadOutcome>;
}

/** Who calls. */
export interface LoadOptions {
  /** Begins every key that is written. */
  readonly prefix: string;
  /** An object that every node has. */
  readonly known: string;
  /** Each records a key of its own after another, and reads it at once; default 4. */
  readonly writers?: number;
  /** Each reads the known object, by the default freshness and by `eventual`; default 2. */
  readonly readers?: number;
}

const TIMEOUT_MS = 20_000;

/**
 * Between two rounds of one caller, times the number of callers: about 200 rounds a second in all.
 * What is looked for is failures, and servers, callers and the test share a small machine.
 */
const BREATH_MS = 5;

/** Starts the callers. */
export function startLoad(
  storage: Clients['storage'],
  { prefix, known, writers = 4, readers = 2 }: LoadOptions,
): Load {
  const acknowledged: string[] = [];
  const failures: Record<string, number> = {};
  let reads = 0;
  let longestReadMs = 0;
  let isStopping = false;
  const breathMs = BREATH_MS * (writers + readers);
  const fail = (what: string, error: CallError): void => {
    const kind = `${what} ${error.reason ?? error.message}`;
    failures[kind] = (failures[kind] ?? 0) + 1;
  };
  const read = async (key: string, freshness?: typeof eventual): Promise<void> => {
    const startedAtMs = performance.now();
    const request = freshness === undefined ? {} : { freshness };
    const error = await errorOf(storage.getObject({ objectKey: key, ...request }));
    reads += 1;
    longestReadMs = Math.max(longestReadMs, performance.now() - startedAtMs);
    if (error !== undefined) fail('read', error);
  };
  const write = async (writer: number): Promise<void> => {
    for (let count = 0; !isStopping; count += 1) {
      await pause(breathMs);
      const key = `${prefix}/${writer}/${count}`;
      const error = await errorOf(storage.recordObject({ object: objectOf(key) }));
      if (error !== undefined) {
        fail('write', error);
        continue;
      }
      acknowledged.push(key);
      await read(key);
    }
  };
  const readOn = async (): Promise<void> => {
    while (!isStopping) {
      await pause(breathMs);
      await read(known);
      await read(known, eventual);
    }
  };
  const callers = [
    ...Array.from({ length: writers }, (_, writer) => write(writer)),
    ...Array.from({ length: readers }, readOn),
  ];
  const more = async (count: () => number, wanted: number, what: string): Promise<void> => {
    const last = count() + wanted;
    await until(() => count() >= last, { timeoutMs: TIMEOUT_MS, what: `${wanted} more ${what}` });
  };
  return {
    moreWrites: (count) => more(() => acknowledged.length, count, 'writes are acknowledged'),
    moreReads: (count) => more(() => reads, count, 'reads are answered'),
    async stop() {
      isStopping = true;
      await Promise.all(callers);
      return { acknowledged, reads, longestReadMs, failures };
    },
  };
}

const eventual = { demand: { case: 'eventual', value: true } } as const;

/** An object with nothing but a key. */
export const objectOf = (objectKey: string) => ({ objectKey, storageBackend: 'local' });

/** What a call failed with; undefined: it succeeded. */
function errorOf(call: Promise<unknown>): Promise<CallError | undefined> {
  return call.then(
    () => undefined,
    () => failure(call),
  );
}
