/**
 * Events as they come, by asking again and again. An event may be committed after another that
 * happened later, so each look begins some seconds before the newest that was shown, and what was
 * shown is known by its time and id: within these seconds nothing is missing, and nothing doubled.
 */

import { setTimeout as pause } from 'node:timers/promises';
import type { Timestamp } from '@bufbuild/protobuf/wkt';
import type { AuditEvent, AuditService, Client } from '../../client/index.js';
import { fromMillis } from '../../lib/timestamp.js';
import { strong } from '../call.js';
import { pagesOf } from '../pages.js';
import { createRetryNotes } from '../retry-notes.js';
import { Patience } from '../scan/backoff.js';
import { compareTimes } from '../times.js';
import type { Filter } from './filter.js';

/** What is followed. */
export interface Followed {
  readonly project: string;
  readonly filter: Filter;
}

/** Who is told. */
export interface Following extends Followed {
  /** What needs no showing: see {@link knownEvents}. */
  readonly known: KnownEvents;
  readonly show: (events: readonly AuditEvent[]) => Promise<void>;
  readonly note: (sentence: string) => void;
  /** As failures name it. */
  readonly server: string;
  /** Ends it, which is no failure. */
  readonly signal: AbortSignal;
  /** Milliseconds between two looks; default 1000. */
  readonly pollMs?: number;
}

type AuditClient = Client<typeof AuditService>;

/** How long an append may take until it is durable: the deadline of a call. */
const overlapSeconds = 10n;

/** Events of the overlap that are remembered. */
const knownMax = 100_000;

const $typeName = 'google.protobuf.Timestamp';

const now = (): Timestamp => ({ $typeName, ...fromMillis(Date.now()) });

const earlier = (a: Timestamp, b: Timestamp): Timestamp => (compareTimes(a, b) < 0 ? a : b);

const nameOf = ({ id, timestamp }: AuditEvent): string =>
  `${timestamp?.seconds ?? 0n}.${timestamp?.nanos ?? 0} ${id}`;

/** Events that a look finds again, back to where it begins. */
export class KnownEvents {
  readonly #times = new Map<string, Timestamp | undefined>();
  /** No look begins before: what is older is no longer known. */
  #floor: Timestamp;
  #newest: Timestamp;
  #hasForgotten = false;

  /** `newest` is the time of the newest event; no look begins before `floor`, where it is given. */
  constructor(newest: Timestamp, floor?: Timestamp) {
    this.#newest = newest;
    this.#floor = floor ?? { $typeName, seconds: -62_135_596_800n, nanos: 0 };
    this.#floor = this.start;
  }

  /** Where the next look begins. An event from ahead of the clock does not move it there. */
  get start(): Timestamp {
    const last = earlier(this.#newest, now());
    const start = { ...last, seconds: last.seconds - overlapSeconds };
    return compareTimes(start, this.#floor) > 0 ? start : this.#floor;
  }

  /** So many came that not all of the overlap could be remembered. */
  get hasForgotten(): boolean {
    return this.#hasForgotten;
  }

  /** Remembers these and answers those that are new. */
  add(events: readonly AuditEvent[]): AuditEvent[] {
    const fresh = events.filter((event) => !this.#times.has(nameOf(event)));
    for (const event of fresh) {
      this.#times.set(nameOf(event), event.timestamp);
      if (compareTimes(event.timestamp, this.#newest) > 0) {
        this.#newest = event.timestamp ?? this.#newest;
      }
    }
    if (this.#times.size > 2 * knownMax) this.#forgetOldest();
    return fresh;
  }

  /** Forgets what no look comes to any more, and the oldest of too many. */
  prune(): void {
    const { start } = this;
    for (const [name, time] of this.#times) {
      if (compareTimes(time, start) < 0) this.#times.delete(name);
    }
    if (this.#times.size > knownMax) this.#forgetOldest();
  }

  #forgetOldest(): void {
    const sorted = [...this.#times].sort(([, a], [, b]) => compareTimes(a, b));
    const oldest = sorted.slice(0, sorted.length - knownMax);
    for (const [name] of oldest) this.#times.delete(name);
    const { seconds, nanos } = oldest.at(-1)?.[1] ?? this.#floor;
    // A microsecond behind the last one: others of its time may be forgotten too.
    const isWhole = nanos + 1000 === 1_000_000_000;
    this.#floor = isWhole
      ? { $typeName, seconds: seconds + 1n, nanos: 0 }
      : { $typeName, seconds, nanos: nanos + 1000 };
    this.#hasForgotten = true;
  }
}

/** The events from where a look begins, a page at a time, the oldest first. */
async function* found(
  client: AuditClient,
  { project, filter }: Followed,
  { known, signal }: Pick<Following, 'known'> & Partial<Pick<Following, 'signal'>>,
): AsyncGenerator<AuditEvent[], void, void> {
  const call = signal === undefined ? {} : { signal };
  const since = { ...filter, startTime: known.start };
  const pages = pagesOf<AuditEvent>(async (page) => {
    const request = { project, filter: since, orderBy: 'timestamp', ...page };
    const { events, nextPageToken } = await client.listEvents(request, call);
    return [events, nextPageToken];
  });
  for await (const { rows } of pages) yield rows;
}

/**
 * The events that are there within the overlap. Who follows asks this first, and only then for the
 * newest ones to show: whatever is committed in between is neither missed nor told as new twice.
 */
export async function knownEvents(client: AuditClient, followed: Followed): Promise<KnownEvents> {
  const { project, filter } = followed;
  const request = { project, filter, pageSize: 1, freshness: strong };
  const { events } = await client.listEvents(request);
  const known = new KnownEvents(events[0]?.timestamp ?? now(), filter.startTime as Timestamp);
  for await (const rows of found(client, followed, { known })) known.add(rows);
  return known;
}

/**
 * Shows what comes until the signal aborts. A server that goes away is waited for without an end.
 * @throws CallError what does not pass, such as wrong credentials
 */
export async function followEvents(client: AuditClient, following: Following): Promise<void> {
  const { known, show, signal, note, server, pollMs = 1_000 } = following;
  const stalledMsMax = Number.POSITIVE_INFINITY;
  const onRetry = createRetryNotes(server, note);
  const patience = new Patience({ signal, stalledMsMax, onRetry });
  let isTold = false;
  while (!signal.aborted) {
    try {
      for await (const rows of found(client, following, { known, signal })) {
        const fresh = known.add(rows);
        if (fresh.length > 0) await show(fresh);
      }
      patience.progress();
      known.prune();
      if (known.hasForgotten && !isTold) note('so much comes that late events may be missed');
      isTold = known.hasForgotten;
      await pause(pollMs, undefined, { signal }).catch(() => undefined);
    } catch (error) {
      if (signal.aborted) return;
      await patience.waitOut(error).catch((failure: unknown) => {
        if (!signal.aborted) throw failure;
      });
    }
  }
}
