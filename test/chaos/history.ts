/**
 * What a run writes down of one round, and what it found in the database behind it: all that the
 * checker is given. Plain values; times are milliseconds on the harness's own clock.
 */

/** A point in the log of one timeline, as a freshness token names it. */
export interface Position {
  readonly timeline: number;
  readonly lsn: bigint;
  /**
   * A standby's word: shortly behind a switch it still names the former timeline, so that beyond
   * the switch nobody can tell what it stands for.
   */
  readonly isReplayed?: boolean;
}

/** One state of one key. The project itself is the key of the empty text. */
export interface Seen {
  readonly key: string;
  readonly revision: number;
  /** Who made the state: each write leaves a text of its own behind. */
  readonly tag: string;
  readonly isLive: boolean;
}

/** What an acknowledged write said of one of its keys. */
export interface Result {
  readonly key: string;
  readonly revision: number;
  /** False where the write left the key as it was. */
  readonly isChanged: boolean;
}

/** How a write ended for its caller, all attempts taken together. */
export type WriteOutcome =
  /** Answered: it is done. */
  | 'acked'
  /** Every attempt was refused with a reason that says nothing was done. */
  | 'refused'
  /** Answered: it cannot be done, by a precondition. */
  | 'rejected'
  /** Nobody can tell. */
  | 'unknown';

/** One intended change, with all its attempts. */
export interface WriteRecord {
  readonly kind: 'write';
  readonly op: string;
  readonly tag: string;
  /** Undefined where it was sent without one. */
  readonly requestId: string | undefined;
  readonly keys: readonly string[];
  readonly startMs: number;
  readonly endMs: number;
  readonly outcome: WriteOutcome;
  /** Of an acknowledged one; each answer that it was given where there were several. */
  readonly answers: readonly (readonly Result[])[];
  /** Of the first acknowledgement. */
  readonly position: Position | undefined;
  /** The revision that it demanded of its only key. */
  readonly ifRevision: number | undefined;
}

/** What a read asked for. */
export type Demand =
  | { readonly kind: 'strong' }
  | { readonly kind: 'at_least'; readonly position: Position }
  | { readonly kind: 'max_staleness'; readonly stalenessMs: number }
  | { readonly kind: 'eventual' };

/** One answered read, or one stream that came to its end. */
export interface ReadRecord {
  readonly kind: 'read';
  readonly op: string;
  readonly demand: Demand;
  readonly startMs: number;
  readonly endMs: number;
  readonly seen: readonly Seen[];
  /** Keys that would have been seen if they were there; those in `seen` among them. */
  readonly covers: readonly string[];
  /** Whether deleted ones would have been. */
  readonly showsDeleted: boolean;
  /** Of the answer's token; undefined where it had none. */
  readonly position: Position | undefined;
  readonly servedBy: string;
}

/** What is wrong by itself: an error nobody may be told, a stream that does not add up. */
export interface FindingRecord {
  readonly kind: 'finding';
  readonly rule: string;
  readonly detail: string;
  readonly atMs: number;
}

/** One line of a history. */
export type HistoryRecord = WriteRecord | ReadRecord | FindingRecord;

/** A promotion as the harness made it. */
export interface Promotion {
  readonly timeline: number;
  /** When the former primary was gone. */
  readonly lostMs: number;
  /** When the new one took writes. */
  readonly promotedMs: number;
}

/** A row of the change feed. */
export interface FeedRow {
  readonly key: string;
  readonly revision: number;
  readonly requestId: string | undefined;
  /** The object's owner after it: a write's tag; empty for the project. */
  readonly tag: string;
  readonly kind: string;
}

/** One timeline of the primary's history. */
export interface Timeline {
  readonly timeline: number;
  /** Where it left its parent; 0 for the first. */
  readonly switchLsn: bigint;
}

/** What the database has at the end of a round, read from the primary. */
export interface FinalState {
  /** The present history by PostgreSQL's own word, oldest first. */
  readonly timelines: readonly Timeline[];
  /** The same as the servers have recorded it. */
  readonly recorded: readonly Timeline[];
  readonly rows: readonly Seen[];
  /** In the order of `seq`. */
  readonly feed: readonly FeedRow[];
  /** Claimed request ids. */
  readonly requestIds: readonly string[];
  /** Rows of the audit trail. */
  readonly audited: number;
}

/** What was said to a token that was presented behind a round. */
export interface Presented {
  readonly position: Position;
  /** Undefined: the read was answered. */
  readonly reason: string | undefined;
}

/** A round, whole. */
export interface Round {
  readonly records: readonly HistoryRecord[];
  readonly promotions: readonly Promotion[];
  readonly final: FinalState;
  readonly presented: readonly Presented[];
}

/** A broken promise, with the lines of the history that show it. */
export interface Violation {
  readonly rule: string;
  readonly detail: string;
  readonly lines: readonly unknown[];
}
