/**
 * The tree beside what is recorded of it: two streams in the same order become one stream of
 * findings, with one entry of each in memory.
 */

import { compareKeys } from './names.js';
import type { WalkEntry, WalkedFile, WalkedSkip } from './walk.js';

/** What a scan needs of a recorded object. */
export interface RecordedFile {
  readonly key: string;
  readonly size: bigint;
  /** Microseconds since 1970; undefined where the record has none. */
  readonly lastModifiedUs: bigint | undefined;
  readonly revision: bigint;
}

/** One finding. */
export type Finding =
  /** A file, and its record where there is one. */
  | {
      readonly kind: 'file';
      readonly file: WalkedFile;
      readonly recorded: RecordedFile | undefined;
    }
  /** Something in the tree that is not recorded. */
  | { readonly kind: 'skip'; readonly skip: WalkedSkip['skip'] }
  /** A record whose file is gone. */
  | { readonly kind: 'missing'; readonly recorded: RecordedFile }
  /** A record whose file may be there, but could not be looked at. */
  | { readonly kind: 'hidden'; readonly recorded: RecordedFile };

/** A reader of the recorded side that can look one ahead. */
class Peeking {
  readonly #source: AsyncIterator<RecordedFile>;
  head: RecordedFile | undefined;

  constructor(source: AsyncIterator<RecordedFile>) {
    this.#source = source;
  }

  async advance(): Promise<void> {
    const next = await this.#source.next();
    this.head = next.done === true ? undefined : next.value;
  }

  async end(): Promise<void> {
    await this.#source.return?.();
  }
}

async function* missingBefore(recorded: Peeking, key: string | undefined): AsyncGenerator<Finding> {
  while (
    recorded.head !== undefined &&
    (key === undefined || compareKeys(recorded.head.key, key) < 0)
  ) {
    yield { kind: 'missing', recorded: recorded.head };
    await recorded.advance();
  }
}

async function* hiddenBy(recorded: Peeking, entry: WalkedSkip): AsyncGenerator<Finding> {
  if (entry.hides === 'nothing') return;
  const isHidden = (key: string): boolean =>
    entry.hides === 'key' ? key === entry.key : key.startsWith(entry.key);
  while (recorded.head !== undefined && isHidden(recorded.head.key)) {
    yield { kind: 'hidden', recorded: recorded.head };
    await recorded.advance();
  }
}

/**
 * Merges a walk with the recorded objects under the same prefix. Both must be in byte order of
 * their keys; both are ended with the merge, however it ends.
 */
export async function* merge(
  walked: AsyncIterable<WalkEntry>,
  recordedSource: AsyncIterable<RecordedFile>,
): AsyncGenerator<Finding, void, void> {
  const recorded = new Peeking(recordedSource[Symbol.asyncIterator]());
  try {
    await recorded.advance();
    for await (const entry of walked) {
      if (entry.kind === 'skip') {
        if (entry.hides !== 'nothing') yield* missingBefore(recorded, entry.key);
        yield { kind: 'skip', skip: entry.skip };
        yield* hiddenBy(recorded, entry);
        continue;
      }
      yield* missingBefore(recorded, entry.key);
      if (recorded.head?.key === entry.key) {
        yield { kind: 'file', file: entry, recorded: recorded.head };
        await recorded.advance();
      } else {
        yield { kind: 'file', file: entry, recorded: undefined };
      }
    }
    yield* missingBefore(recorded, undefined);
  } finally {
    await recorded.end();
  }
}
