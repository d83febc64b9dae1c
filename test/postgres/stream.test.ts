import { describe, expect, it } from 'vitest';
import { parseSealed, parseTokenPayload, type Token } from '../../src/lib/token-layout.js';
import { until } from '../../src/lib/wait.js';
import type { TupleCollector } from '../../src/postgres/router-api.js';
import { statement } from '../../src/postgres/statement.js';
import { formatToken } from '../../src/postgres/token.js';
import { QUEUED_BATCHES_MAX } from '../../src/postgres/tuple-reader.js';
import { settled, testCall } from '../support/router.js';
import { useRouter } from '../support/use-router.js';

const numbers = statement<{ number: number }>({
  name: 'test-numbers',
  intent: 'readPrimary',
  text: `select number::int4, repeat('x', $2::int4) as filler
         from generate_series(1, $1::int4) as number`,
});

const failing = statement<{ quotient: number }>({
  name: 'test-failing-stream',
  intent: 'readPrimary',
  text: 'select 100 / ($1::int4 - number) as quotient from generate_series(1, 1000) as number',
});

const trickling = statement<{ number: number }>({
  name: 'test-trickling',
  intent: 'readPrimary',
  text: `select number::int4, repeat('x', 20000) as filler
         from generate_series(1, 3) as number
         where number < 3 or pg_sleep(60) is not null`,
});

const gated = statement<{ number: number }>({
  name: 'test-gated-stream',
  intent: 'readPrimary',
  text: `select 1::int4 as number, '' as filler
         where pg_advisory_xact_lock_shared(1) is not null`,
});

const sleeping = statement<{ one: number }>({
  name: 'test-sleeping-stream',
  intent: 'readPrimary',
  text: 'select 1 as one from pg_sleep($1::float8)',
});

const isolation = statement<{ isolation: string; readonly: string; pid: number }>({
  name: 'test-isolation',
  intent: 'read',
  text: `select current_setting('transaction_isolation'), current_setting('transaction_read_only'),
                current_setting('stowage.project')`,
});

interface Collected {
  readonly first: number;
  readonly rows: number;
}

/** Reads the int4 of the first column; a batch is full at so many rows. */
class NumberCollector implements TupleCollector<Collected> {
  readonly #rowsMax: number;
  #first = 0;
  #rows = 0;
  /** Rows seen over all batches. */
  seen = 0;

  constructor(rowsMax: number) {
    this.#rowsMax = rowsMax;
  }

  tuple(source: Buffer, start: number, end: number): void {
    expect(source.readInt32BE(start + 2)).toBe(4);
    const filler = source.readInt32BE(start + 10);
    expect(end - start).toBe(2 + 4 + 4 + 4 + filler);
    if (this.#rows === 0) this.#first = source.readInt32BE(start + 6);
    this.#rows += 1;
    this.seen += 1;
  }

  isFull(): boolean {
    return this.#rows >= this.#rowsMax;
  }

  take(): Collected | undefined {
    if (this.#rows === 0) return undefined;
    const batch = { first: this.#first, rows: this.#rows };
    this.#rows = 0;
    return batch;
  }
}

/** Gives the texts of each row as one batch. */
class TextCollector implements TupleCollector<string[]> {
  #row: string[] | undefined;

  tuple(source: Buffer, start: number): void {
    const row: string[] = [];
    let at = start + 2;
    for (let column = source.readInt16BE(start); column > 0; column -= 1) {
      const length = source.readInt32BE(at);
      row.push(source.toString('utf8', at + 4, at + 4 + length));
      at += 4 + length;
    }
    this.#row = row;
  }

  isFull(): boolean {
    return this.#row !== undefined;
  }

  take(): string[] | undefined {
    const row = this.#row;
    this.#row = undefined;
    return row;
  }
}

async function collect<Batch>(stream: AsyncIterable<Batch>): Promise<Batch[]> {
  const batches: Batch[] = [];
  for await (const batch of stream) batches.push(batch);
  return batches;
}

/** Every number once and in order. Rows that come late leave a batch that is not full. */
function expectWhole(batches: readonly Collected[], rows: number, rowsMax: number): void {
  let next = 1;
  for (const batch of batches) {
    expect(batch.first).toBe(next);
    expect(batch.rows).toBeLessThanOrEqual(rowsMax);
    next += batch.rows;
  }
  expect(next).toBe(rows + 1);
}

describe('Router.stream', () => {
  const fixture = useRouter({
    settings: { connectionsMax: 4, connectionsMin: 0 },
    router: { streamIdleTimeoutMs: 400 },
  });

  const activeStreams = async (): Promise<number> => {
    const rows = await fixture.admin.query<{ count: string }>(
      `select count(*) from pg_stat_activity
       where datname = $1 and application_name like 'stowage Test%' and state = 'active'`,
      [fixture.database.name],
    );
    return Number(rows[0]?.count);
  };
  /** With one connection for streams, a further one shows that it is clean. */
  const expectClean = async () => {
    await settled(fixture.router);
    const collector = new NumberCollector(10);
    await collect(fixture.router.stream(numbers, [25, 0], testCall(), { collector }));
    expect(collector.seen).toBe(25);
  };

  it('gives every row once, in batches', async () => {
    const collector = new NumberCollector(100);
    const call = testCall({ timeoutMs: Infinity });
    const batches = await collect(fixture.router.stream(numbers, [1050, 30], call, { collector }));
    expectWhole(batches, 1050, 100);
    expect(call.served).toHaveLength(1);
    expect(call.served[0]?.token).toMatch(/^[\w-]{59}$/);
  });

  it('gives nothing for no rows, and still tells who served', async () => {
    const call = testCall();
    const collector = new NumberCollector(100);
    const stream = fixture.router.stream(numbers, [0, 0], call, { collector });
    const end = await stream.next();
    expect(end).toMatchObject({ done: true, value: { role: 'primary' } });
    expect(call.served).toHaveLength(1);
  });

  it('reads one snapshot that it cannot change, in the scope of its call', async () => {
    const collector = new TextCollector();
    const call = testCall({ project: 'atlas' });
    const [row] = await collect(fixture.router.stream(isolation, [], call, { collector }));
    expect(row).toEqual(['repeatable read', 'on', 'atlas']);
    expect(call.served[0]?.by.role).toBe('standby');
  });

  it('stays on the node it is told, or fails', async () => {
    const { nodes } = fixture.router.topology();
    for (const { name } of nodes) {
      const call = testCall();
      const options = { collector: new TextCollector(), node: name };
      await collect(fixture.router.stream(isolation, [], call, options));
      expect(call.served[0]?.by.node).toBe(name);
    }
    const options = { collector: new TextCollector(), node: 'elsewhere:1' };
    const promise = collect(fixture.router.stream(isolation, [], testCall(), options));
    await expect(promise).rejects.toMatchObject({ reason: 'NO_NODE' });
  });

  it('leaves the node it is told where that lacks what was read before', async () => {
    const first = testCall();
    await collect(fixture.router.stream(isolation, [], first, { collector: new TextCollector() }));
    const { by, token: text = '' } = first.served[0] ?? {};
    const sealed = parseSealed(text);
    const token = sealed && parseTokenPayload(sealed.payload);
    const [key] = await fixture.admin.query<{ secret: Buffer }>('select secret from token_keys');
    if (token === undefined || key === undefined) throw new Error('there is no token');
    const from = (lacking: Token) => {
      const freshness = {
        kind: 'at_least' as const,
        token: formatToken({ id: 1, secret: key.secret }, lacking),
      };
      const options = { collector: new TextCollector(), node: by?.node ?? '' };
      return collect(fixture.router.stream(isolation, [], testCall({ freshness }), options));
    };
    expect(await from(token)).toHaveLength(1);
    await expect(from({ ...token, lsn: token.lsn + 2n ** 40n })).rejects.toMatchObject({
      reason: 'STANDBY_BEHIND',
    });
    await expect(from({ ...token, promotion: token.promotion + 1 })).rejects.toMatchObject({
      reason: 'TOKEN_HISTORY_LOST',
    });
  });

  it('takes rows of a megabyte', async () => {
    const collector = new NumberCollector(3);
    const batches = await collect(
      fixture.router.stream(numbers, [20, 1024 * 1024], testCall(), { collector }),
    );
    expectWhole(batches, 20, 3);
  });

  it('reads no further than its consumer', async () => {
    const collector = new NumberCollector(10);
    const stream = fixture.router.stream(numbers, [1_000_000, 100], testCall(), { collector });
    await stream.next();
    await until(() => collector.seen >= 10 * (1 + QUEUED_BATCHES_MAX), {
      timeoutMs: 5_000,
      what: 'the queue is full',
    });
    // The server still has nearly all rows to send, and stands.
    expect(await activeStreams()).toBe(1);
    expect(collector.seen).toBe(10 * (1 + QUEUED_BATCHES_MAX));
    await stream.return({ node: '', role: 'primary', lagMs: 0 });
    await expectClean();
  });

  it('gives what it has when rows trickle in', async () => {
    const collector = new NumberCollector(100);
    const stream = fixture.router.stream(trickling, [], testCall(), { collector });
    expect((await stream.next()).value).toMatchObject({ first: 1 });
    await stream.return({ node: '', role: 'primary', lagMs: 0 });
    await expectClean();
  });

  it('ends the query when its consumer leaves, and keeps the connection clean', async () => {
    for (const rows of [1, 10, 100_000]) {
      const collector = new NumberCollector(1);
      for await (const batch of fixture.router.stream(numbers, [rows, 500], testCall(), {
        collector,
      })) {
        expect(batch.first).toBe(1);
        break;
      }
      await expectClean();
      expect(await activeStreams()).toBe(0);
    }
  });

  it('gives the rows before an error, then the error', async () => {
    const collector = new TextCollector();
    const seen: string[][] = [];
    const read = async () => {
      const call = testCall();
      for await (const row of fixture.router.stream(failing, [500], call, { collector })) {
        seen.push(row);
      }
    };
    await expect(read()).rejects.toMatchObject({ reason: 'INVALID_REQUEST' });
    expect(seen.length).toBe(499);
    await expectClean();
  });

  it('fails before the first row as a statement does', async () => {
    const promise = collect(
      fixture.router.stream(numbers, ['many', 0], testCall(), {
        collector: new NumberCollector(1),
      }),
    );
    await expect(promise).rejects.toMatchObject({ reason: 'INVALID_REQUEST' });
    await expectClean();
  });

  it.each(['tuple', 'take'] as const)('fails when its collector does in %s', async (method) => {
    const collector = new NumberCollector(200);
    collector[method] = () => {
      throw new Error('unreadable');
    };
    // Few rows fill no batch: what is left over is taken at the end of the statement.
    for (const rows of [100_000, 10]) {
      const stream = fixture.router.stream(numbers, [rows, 100], testCall(), { collector });
      await expect(collect(stream)).rejects.toMatchObject({ reason: 'INTERNAL' });
    }
    await expectClean();
  });

  it('takes no connection for a parameter that cannot be sent', async () => {
    const collector = new NumberCollector(1);
    const stream = fixture.router.stream(numbers, [new Map(), 0], testCall(), { collector });
    await expect(collect(stream)).rejects.toMatchObject({ reason: 'INTERNAL' });
    await expectClean();
  });

  it('is cancelled with its call', async () => {
    const controller = new AbortController();
    const call = testCall({ signal: controller.signal, timeoutMs: Infinity });
    const collector = new NumberCollector(1);
    const promise = collect(fixture.router.stream(sleeping, [60], call, { collector }));
    const outcome = expect(promise).rejects.toMatchObject({ reason: 'CANCELLED' });
    await until(async () => (await activeStreams()) === 1, {
      timeoutMs: 5_000,
      what: 'the query runs',
    });
    controller.abort();
    await outcome;
    await expectClean();
    expect(await activeStreams()).toBe(0);
  });

  it('gives up a consumer that does not come back', async () => {
    const collector = new NumberCollector(1);
    const stream = fixture.router.stream(numbers, [100_000, 1_000], testCall(), { collector });
    await stream.next();
    await settled(fixture.router);
    await expect(stream.next()).rejects.toMatchObject({ reason: 'SLOW_CONSUMER' });
    await expectClean();
  });

  const backendOf = async (event: string) => {
    const rows = await fixture.admin.query<{ pid: number }>(
      `select pid from pg_stat_activity
       where datname = $1 and wait_event = $2 and application_name like 'stowage Test%'`,
      [fixture.database.name, event],
    );
    return rows[0]?.pid;
  };
  const untilBackend = (event: string, former?: number) => {
    const isThere = async () => {
      const pid = await backendOf(event);
      return pid === former ? undefined : pid;
    };
    return until(isThere, { timeoutMs: 5_000, what: `a stream waits in ${event}` });
  };

  it('is repeated where its backend dies before the first batch', async () => {
    await fixture.admin.query('select pg_advisory_lock(1)');
    const collector = new NumberCollector(1);
    const call = testCall();
    const promise = collect(fixture.router.stream(gated, [], call, { collector }));
    const pid = await untilBackend('advisory');
    await fixture.admin.query('select pg_terminate_backend($1)', [pid]);
    await untilBackend('advisory', pid);
    await fixture.admin.query('select pg_advisory_unlock(1)');
    expect(await promise).toEqual([{ first: 1, rows: 1 }]);
    expect(call.served).toHaveLength(1);
    await expectClean();
  });

  it('fails behind its first batch when its backend dies', async () => {
    const collector = new NumberCollector(100);
    const stream = fixture.router.stream(trickling, [], testCall(), { collector });
    expect((await stream.next()).value).toMatchObject({ first: 1 });
    await fixture.admin.query('select pg_terminate_backend($1)', [await untilBackend('PgSleep')]);
    const rest = async () => {
      for await (const batch of stream) expect(batch.first).toBeGreaterThan(1);
    };
    await expect(rest()).rejects.toMatchObject({ reason: 'NO_NODE' });
    await until(() => fixture.router.topology().hasPrimary, {
      timeoutMs: 5_000,
      what: 'the primary is known again',
    });
    await expectClean();
  });
});

describe('streams in line', () => {
  const fixture = useRouter({
    settings: { connectionsMax: 4, connectionsMin: 0, queueTimeoutMs: 1 },
  });

  it('wait longer than unary calls may, for their callers may have items already', async () => {
    const streams = Array.from({ length: 5 }, () => {
      const collector = new NumberCollector(100);
      return collect(fixture.router.stream(numbers, [20_000, 100], testCall(), { collector }));
    });
    const batches = await Promise.all(streams);
    for (const each of batches) expectWhole(each, 20_000, 100);
  });
});
