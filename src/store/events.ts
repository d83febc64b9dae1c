/** What this room tells whoever listens (`diagnostics_channel`), beside what the core tells. */

import { channel } from 'node:diagnostics_channel';
import type { Reason } from '../errors.js';

/** Items that leave a stream in one message. */
export interface StreamItemsEvent {
  /** The RPC as `stowage.v1.StorageService/StreamObjects`. */
  readonly method: string;
  readonly items: number;
  /** Of the encoded items, without what travels beside them. */
  readonly bytes: number;
}

/** A batch of an ingest was committed, or refused. */
export interface IngestBatchEvent {
  readonly items: number;
  readonly durationMs: number;
  /** Why it was refused; undefined: it is committed. */
  readonly reason: Reason | undefined;
}

/** A commit whose answer was lost, and what became of the doubt. */
export interface CommitInDoubtEvent {
  /**
   * `answered`: it had committed, and its answer was found. `repeated`: it had not, and was done
   * again. `refused`: it had not, and was refused this time. `unknown`: the caller is told that
   * nobody knows, and has the request id to ask again with, or has none.
   */
  readonly end: 'answered' | 'repeated' | 'refused' | 'unknown';
  readonly requestId: string;
  /** From the loss of the answer. */
  readonly durationMs: number;
}

/** Publishes a {@link StreamItemsEvent} for each message with items. */
export const streamItemsChannel = channel('stowage:stream-items');

/** Publishes an {@link IngestBatchEvent} for each batch. */
export const ingestBatchChannel = channel('stowage:ingest-batch');

/** Publishes a {@link CommitInDoubtEvent} at the end of each doubt. */
export const commitInDoubtChannel = channel('stowage:commit-in-doubt');
