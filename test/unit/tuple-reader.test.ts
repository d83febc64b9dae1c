import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DriverConnection } from '../../src/postgres/driver.js';
import type { TupleCollector } from '../../src/postgres/router-api.js';
import { TupleReader } from '../../src/postgres/tuple-reader.js';

/** A message of the protocol: type, length that counts itself, body. */
function message(type: string, body: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header.write(type, 0);
  header.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([header, body]);
}

/** A socket that emits nothing but what the test gives it. */
class FakeSocket extends EventEmitter {
  isPaused = false;
  error: Error | undefined;
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
  destroy(error: Error): void {
    this.error = error;
  }
}

/** Keeps each body; a batch is full at so many. */
class BodyCollector implements TupleCollector<string[]> {
  readonly #rowsMax: number;
  #rows: string[] = [];
  constructor(rowsMax: number) {
    this.#rowsMax = rowsMax;
  }
  tuple(source: Buffer, start: number, end: number): void {
    this.#rows.push(source.toString('latin1', start, end));
  }
  isFull(): boolean {
    return this.#rows.length >= this.#rowsMax;
  }
  take(): string[] | undefined {
    const rows = this.#rows;
    this.#rows = [];
    return rows.length === 0 ? undefined : rows;
  }
}

interface Fixture {
  readonly socket: FakeSocket;
  readonly reader: TupleReader<string[]>;
  /** What reached the driver's parser, in order. */
  readonly parsed: Buffer[];
}

function setup(rowsMax: number, step = 0): Fixture {
  const socket = new FakeSocket();
  const parsed: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => parsed.push(Buffer.from(chunk)));
  const reader = new TupleReader<string[]>({
    collector: new BodyCollector(rowsMax),
    step,
    onPause: () => undefined,
    onFailure: () => undefined,
  });
  const connection = Object.assign(new EventEmitter(), { stream: socket as unknown as Socket });
  reader.attach(connection as unknown as DriverConnection);
  return { socket, reader, parsed };
}

/** Gives the chunks as a socket does: none while it is paused. */
async function drain({ socket, reader }: Fixture, chunks: readonly Buffer[]): Promise<string[]> {
  const rows: string[] = [];
  for (const chunk of chunks) {
    while (socket.isPaused) rows.push(...((await reader.next()) ?? []));
    socket.emit('data', chunk);
  }
  while (socket.isPaused) rows.push(...((await reader.next()) ?? []));
  reader.end(undefined);
  for (;;) {
    const batch = await reader.next();
    if (batch === undefined) return rows;
    rows.push(...batch);
  }
}

function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, index) => bytes.subarray(from, places[index]));
}

describe('TupleReader', () => {
  it('reads the same whatever chunks the bytes come in', async () => {
    const bodies = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 30 });
    const cuts = fc.array(fc.nat(), { maxLength: 40 });
    const property = fc.asyncProperty(
      bodies,
      cuts,
      fc.integer({ min: 1, max: 5 }),
      async (...drawn) => {
        const [rows, places, rowsMax] = drawn;
        const before = [
          message('1', Buffer.alloc(0)),
          message('T', Buffer.from('columns')),
          message('D', Buffer.from('of the first step')),
          message('C', Buffer.from('SELECT 1')),
          message('2', Buffer.alloc(0)),
        ];
        const after = [message('C', Buffer.from('SELECT')), message('Z', Buffer.from('I'))];
        const tuples = rows.map((row) => message('D', Buffer.from(row)));
        const notice = message('N', Buffer.from('amid the rows'));
        const middle = Math.floor(tuples.length / 2);
        const sent = [
          ...before,
          ...tuples.slice(0, middle),
          notice,
          ...tuples.slice(middle),
          ...after,
        ];
        const fixture = setup(rowsMax, 1);
        const read = await drain(fixture, split(Buffer.concat(sent), places));
        expect(read).toEqual(rows.map((row) => Buffer.from(row).toString('latin1')));
        // Everything else reaches the parser, whole and in order.
        expect(Buffer.concat(fixture.parsed)).toEqual(Buffer.concat([...before, notice, ...after]));
      },
    );
    await fc.assert(property, { numRuns: 300, verbose: true });
  });

  it('gives the socket back to the parser when the server is ready', async () => {
    const fixture = setup(1);
    const later = message('N', Buffer.from('behind'));
    const bytes = Buffer.concat([message('Z', Buffer.from('I')), later]);
    await drain(fixture, [bytes.subarray(0, 8), bytes.subarray(8)]);
    expect(Buffer.concat(fixture.parsed)).toEqual(bytes);
    expect(fixture.socket.listenerCount('data')).toBe(1);
  });

  it('holds no more than two full batches', async () => {
    const fixture = setup(1);
    const tuples = ['a', 'b', 'c', 'd'].map((body) => message('D', Buffer.from(body)));
    fixture.socket.emit('data', Buffer.concat(tuples));
    expect(fixture.socket.isPaused).toBe(true);
    for (const expected of ['a', 'b', 'c', 'd']) {
      expect(await fixture.reader.next()).toEqual([expected]);
    }
    expect(fixture.socket.isPaused).toBe(false);
  });

  it('drops what still comes once it was told to', async () => {
    const fixture = setup(1);
    const tuples = ['a', 'b', 'c', 'd'].map((body) => message('D', Buffer.from(body)));
    const end = [message('E', Buffer.from('cancelled')), message('Z', Buffer.from('I'))];
    fixture.socket.emit('data', Buffer.concat([...tuples, ...end]));
    fixture.reader.end(new Error('left'));
    fixture.reader.discard();
    expect(fixture.socket.isPaused).toBe(false);
    expect(Buffer.concat(fixture.parsed)).toEqual(Buffer.concat(end));
    await expect(fixture.reader.next()).rejects.toThrow('left');
  });

  it('copies a large row once', async () => {
    const fixture = setup(1);
    const row = Buffer.alloc(3 * 1024 * 1024, 'x');
    const bytes = Buffer.concat([message('D', row), message('C', Buffer.alloc(1))]);
    const chunks = Array.from({ length: Math.ceil(bytes.length / 65_536) }, (_, index) =>
      bytes.subarray(index * 65_536, (index + 1) * 65_536),
    );
    const [read] = await drain(fixture, chunks);
    expect(read?.length).toBe(row.length);
  });

  it('ends a connection whose bytes make no sense', () => {
    const fixture = setup(1);
    fixture.socket.emit('data', Buffer.from([0x44, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]));
    expect(fixture.socket.error?.message).toMatch(/message of \d+ bytes/);
  });
});
