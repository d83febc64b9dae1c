// `stowage audit tail --follow`: events that are committed in another order than they happened.
import { describe, expect, it } from 'vitest';
import { followEvents, knownEvents } from '../../src/cli/audit/follow.js';
import { compareTimes } from '../../src/cli/times.js';
import { type AuditEvent, CallError, Code } from '../../src/client/index.js';
import { fromMillis } from '../../src/lib/timestamp.js';
import { createRandom } from '../support/random.js';

type Client = Parameters<typeof followEvents>[0];
type Page = Parameters<Client['listEvents']>[0] & { readonly pageToken: string };

const at = (ms: number) => ({ $typeName: 'google.protobuf.Timestamp', ...fromMillis(ms) }) as const;

const event = (id: string, ms: number) =>
  ({ id, timestamp: at(ms), action: 'A' }) as unknown as AuditEvent;

/** A table to which a test commits; its pages have at most `pageMax` rows. */
class Table {
  readonly rows: AuditEvent[] = [];
  failures = 0;
  looks = 0;
  constructor(readonly pageMax = 3) {}

  readonly client = {
    listEvents: async ({ filter, pageToken, pageSize = 100, orderBy }: Page) => {
      if (this.failures > 0) {
        this.failures -= 1;
        throw CallError.local('gone', Code.Unavailable, 'after_delay');
      }
      if (orderBy === 'timestamp' && pageToken === '') this.looks += 1;
      const start = filter?.startTime as AuditEvent['timestamp'];
      const sign = orderBy === 'timestamp' ? 1 : -1;
      const order = (a: AuditEvent, b: AuditEvent) =>
        sign * (compareTimes(a.timestamp, b.timestamp) || (a.id < b.id ? -1 : 1));
      const found = this.rows
        .filter(({ timestamp }) => start === undefined || compareTimes(timestamp, start) >= 0)
        .sort(order);
      // As the service does: a page goes on behind the row at which the one before ended.
      const from = pageToken === '' ? 0 : found.findIndex(({ id }) => id === pageToken) + 1;
      const events = found.slice(from, from + Math.min(this.pageMax, pageSize || 100));
      const isLast = from + events.length >= found.length;
      return { events, nextPageToken: isLast ? '' : (events.at(-1)?.id ?? '') };
    },
  } as unknown as Client;
}

/** Follows until `step`, which is called before each look but the first, answers false. */
async function follow(table: Table, step: (look: number) => boolean): Promise<string[]> {
  const stop = new AbortController();
  const shown: string[] = [];
  const followed = { project: '', filter: {} };
  const known = await knownEvents(table.client, followed);
  let look = 0;
  const note = () => undefined;
  const show = async (events: readonly AuditEvent[]) => {
    shown.push(...events.map(({ id }) => id));
  };
  const list = table.client.listEvents;
  const client = {
    listEvents: (request: Page) => {
      if (request.pageToken === '') {
        look += 1;
        if (!step(look)) stop.abort();
      }
      return list(request);
    },
  } as unknown as Client;
  const { signal } = stop;
  await followEvents(client, { ...followed, known, show, note, server: 's', signal, pollMs: 1 });
  return shown;
}

describe('following the audit trail', () => {
  it('misses none and shows none twice, in whatever order they are committed', async () => {
    const random = createRandom(7);
    const table = new Table();
    for (let index = 0; index < 50; index += 1) {
      table.rows.push(event(`old-${index}`, Date.now() - index * 1_000));
    }
    const committed: string[] = [];
    const shown = await follow(table, (look) => {
      for (let count = random.below(4); count > 0; count -= 1) {
        const id = `new-${committed.length}`;
        committed.push(id);
        // Several of one millisecond, some late, some from ahead of the clock.
        table.rows.push(event(id, Date.now() + random.below(9) * 1_000 - 5_000));
      }
      return look < 120;
    });
    expect(committed.length).toBeGreaterThan(50);
    expect([...shown].sort()).toEqual([...committed].sort());
  });

  it('shows nothing of what was there before, and waits for a server that is away', async () => {
    const table = new Table(1_000);
    const now = Date.now();
    table.rows.push(...[1, 2, 3].map((index) => event(`old-${index}`, now - 60_000 * index)));
    const shown = await follow(table, (look) => {
      if (look === 2) table.failures = 2;
      if (look === 5) table.rows.push(event('new', now));
      return look < 7;
    });
    expect(shown).toEqual(['new']);
  });

  it('goes on from an event far ahead of the clock as from now', async () => {
    const table = new Table(1_000);
    const now = Date.now();
    table.rows.push(event('ahead', now + 3_000_000));
    const shown = await follow(table, (look) => {
      if (look === 2) table.rows.push(event('new', now));
      return look < 4;
    });
    expect(shown).toEqual(['new']);
  });
});
