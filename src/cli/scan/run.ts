/**
 * One scan: the walk beside the recorded objects, what differs digested, batched and sent. Memory
 * is bounded by the widest directory, the findings ahead and the batches in flight.
 */

import type { Client, StorageService } from '../../client/index.js';
import { assertNever } from '../../lib/assert.js';
import { Patience, type PatienceOptions } from './backoff.js';
import { Batcher } from './batch.js';
import { type Examined, type ExamineOptions, Examiner } from './examine.js';
import { IngestSender, type IngestTotals } from './ingest.js';
import { type Finding, merge } from './merge.js';
import { mapOrdered } from './ordered.js';
import { recordedFiles } from './recorded.js';
import { type Skip, skipTable } from './skips.js';
import { newTally, type Tally } from './tally.js';
import { walk } from './walk.js';

/** What to scan and how. */
export interface ScanOptions extends Omit<ExamineOptions, 'signal' | 'patience' | 'onBytes'> {
  /** Objects a batch at most. */
  readonly batchSizeMax: number;
  /** Stops the scan in order: what is digested is still sent. */
  readonly stop: AbortSignal;
  /** Gets the counters as they rise, before the first of them. */
  readonly onStart?: (tally: Readonly<Tally>) => void;
  /** Told of each entry that is not recorded. */
  readonly onSkip?: (skip: Skip) => void | Promise<void>;
  /** Told of each record whose file is gone. */
  readonly onMissing?: (key: string, isDeleted: boolean) => void | Promise<void>;
  /** Told of every failure that is waited out. */
  readonly onRetry?: PatienceOptions['onRetry'];
  /** Milliseconds without progress that are waited out; default 60,000. */
  readonly stalledMsMax?: number;
}

/** What a scan came to. */
export interface ScanResult {
  readonly tally: Readonly<Tally>;
  /** What the service did with what was sent. */
  readonly recorded: IngestTotals;
  /** Whether it was stopped before its end. */
  readonly isInterrupted: boolean;
}

/** Findings that are worked on ahead of the oldest unfinished one: a large file delays no other. */
const aheadMax = 256;
/** How long a scan tries to reach its server at first. */
const firstMsMax = 5_000;
/** How long a stopped scan waits for its last acknowledgements. */
const stopGraceMs = 10_000;

class Scan {
  readonly #options: ScanOptions;
  readonly #tally = newTally();
  readonly #batcher: Batcher;
  readonly #sender: IngestSender;
  readonly #examiner: Examiner;
  readonly #client: Client<typeof StorageService>;
  /** Ends the calls: at a failure at once, at a stop after a grace. */
  readonly #calls = new AbortController();
  /** Ends digests, deletions and the reading of records: at a failure and at a stop. */
  readonly #work: AbortSignal;

  constructor(client: Client<typeof StorageService>, options: ScanOptions) {
    this.#client = client;
    this.#options = options;
    this.#batcher = new Batcher(options.batchSizeMax);
    const { signal } = this.#calls;
    const { project } = options;
    this.#work = AbortSignal.any([options.stop, signal]);
    this.#sender = new IngestSender(client, {
      project,
      signal,
      patience: this.#patience(signal),
    });
    this.#examiner = new Examiner(client, {
      ...options,
      signal: this.#work,
      patience: this.#patience(this.#work),
      onBytes: (count) => {
        this.#tally.bytesDigested += count;
      },
    });
  }

  async run(): Promise<ScanResult> {
    this.#options.onStart?.(this.#tally);
    const giveUp = (): void => {
      setTimeout(() => this.#calls.abort(), stopGraceMs).unref();
    };
    this.#options.stop.addEventListener('abort', giveUp, { once: true });
    try {
      await this.#examineAll();
      await this.#send(this.#batcher.take());
      const recorded = await this.#sender.finish();
      const isInterrupted = this.#options.stop.aborted;
      return { tally: this.#tally, recorded, isInterrupted };
    } finally {
      this.#options.stop.removeEventListener('abort', giveUp);
      this.#calls.abort();
    }
  }

  #patience(signal: AbortSignal, bounds: { readonly firstMsMax?: number } = {}): Patience {
    const { stalledMsMax, onRetry } = this.#options;
    return new Patience({
      signal,
      ...bounds,
      ...(stalledMsMax === undefined ? {} : { stalledMsMax }),
      ...(onRetry === undefined ? {} : { onRetry }),
    });
  }

  async *#findings(): AsyncGenerator<Finding, void, void> {
    const { root, prefix, project, backend } = this.#options;
    const patience = this.#patience(this.#work, { firstMsMax });
    const options = { project, prefix, backend, signal: this.#work, patience };
    try {
      yield* merge(walk(root, prefix), recordedFiles(this.#client, options));
    } catch (error) {
      this.#fail();
      throw error;
    }
  }

  /** Ends the work ahead, which would be waited for: a large file may take hours. */
  #fail(): void {
    // After a stop the work has ended already, and the last batches are still to be sent.
    if (!this.#options.stop.aborted) this.#calls.abort();
  }

  async #examineAll(): Promise<void> {
    const { stop } = this.#options;
    const examine = this.#examiner.examine.bind(this.#examiner);
    try {
      for await (const examined of mapOrdered(this.#findings(), examine, aheadMax)) {
        await this.#conclude(examined).catch((error: unknown) => {
          this.#fail();
          throw error;
        });
        if (stop.aborted) break;
      }
    } catch (error) {
      // A stop ends calls and digests with errors of their own, which say nothing.
      if (!stop.aborted) throw error;
    }
  }

  async #conclude(examined: Examined): Promise<void> {
    const tally = this.#tally;
    switch (examined.kind) {
      case 'unchanged':
        tally.files += 1;
        tally.bytes += examined.size;
        tally.unchanged += 1;
        return;
      case 'record':
        tally.files += 1;
        tally.bytes += examined.size;
        await this.#send(this.#batcher.add(examined.object));
        return;
      case 'skip':
        tally.skipped += 1;
        if (skipTable[examined.skip.reason].isError) tally.skippedByError += 1;
        await this.#options.onSkip?.(examined.skip);
        return;
      case 'missing':
        tally.missing += 1;
        if (examined.isDeleted) tally.deleted += 1;
        await this.#options.onMissing?.(examined.key, examined.isDeleted);
        return;
      case 'hidden':
        tally.hidden += 1;
        return;
      default:
        assertNever(examined);
    }
  }

  async #send(batch: ReturnType<Batcher['take']>): Promise<void> {
    if (batch !== undefined) await this.#sender.send(batch.objects, batch.position);
  }
}

/**
 * Records a tree. Run again, it finishes what a scan that was stopped or killed began.
 *
 * @throws {CallError} what the service refused, or what did not pass in time
 * @throws {Error} the operating system's, where the root cannot be read
 */
export async function runScan(
  client: Client<typeof StorageService>,
  options: ScanOptions,
): Promise<ScanResult> {
  return new Scan(client, options).run();
}
