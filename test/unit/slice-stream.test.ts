/** How a stream of slices goes on when its node fails, over a router that fails as it is told. */

import { crc32 } from 'node:zlib';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { StreamObjectsResponseSchema } from '../../gen/stowage/v1/storage_list_pb.js';
import { StowageError } from '../../src/errors.js';
import { formatSealed, formatTokenPayload, MAC_BYTES } from '../../src/lib/token-layout.js';
import type { Call, Freshness } from '../../src/postgres/call.js';
import type { Router, StreamOptions } from '../../src/postgres/router-api.js';
import { systemCall } from '../../src/postgres/system-call.js';
import { type SliceBatch, type SliceSource, streamSlices } from '../../src/store/slice-stream.js';
import { keeping } from '../support/keeping.js';

const NUMBERS = 60;

const node = (name: string, role: 'primary' | 'standby' = 'standby') => ({
  node: name,
  role,
  lagMs: 1,
});

const tokenAt = (lsn: number, timeline = 1) =>
  formatSealed({
    keyId: 1,
    payload: formatTokenPayload({
      ...{ systemIdentifier: 1n, timeline, promotion: 1, precision: 'exact' },
      lsn: BigInt(lsn),
    }),
    mac: Buffer.alloc(MAC_BYTES),
  });

const recoveryConflict = () => {
  const cause = Object.assign(new pg.DatabaseError('x', 1, 'error'), { code: '40001' });
  return new StowageError('OVERLOADED', { cause });
};

/** Collects numbers, of which a batch has five. */
class Numbers {
  #numbers: number[] = [];

  add(number: number): SliceBatch | undefined {
    this.#numbers.push(number);
    return this.#numbers.length < 5 ? undefined : this.take();
  }

  tuple(): void {
    throw new Error('nobody reads the wire here');
  }

  isFull(): boolean {
    return false;
  }

  take(): SliceBatch | undefined {
    const numbers = this.#numbers;
    this.#numbers = [];
    if (numbers.length === 0) return undefined;
    const objects = numbers.map((number) => ({ objectKey: `${number}` }));
    const bytes = Buffer.from(
      toBinary(StreamObjectsResponseSchema, create(StreamObjectsResponseSchema, { objects })),
    );
    return { bytes, items: numbers.length, crc32: crc32(bytes), lastKey: `${numbers.at(-1)}` };
  }
}

/** One slice that was asked for. */
interface Asked {
  readonly node: string | undefined;
  readonly freshness: Freshness;
  readonly after: number;
}

const sealer = {
  seal: async (_: string, __: readonly string[], payload: Uint8Array) =>
    Buffer.from(payload).toString('base64url'),
  open: async (_: string, __: readonly string[], token: string) => Buffer.from(token, 'base64url'),
};

const sourceOf = (collector: Numbers): SliceSource => ({
  args: [],
  collector,
  rowsFirst: 20,
  rowsNext: () => 20,
  slice: (lastKey, rowsMax) => ({
    statement: {} as never,
    params: [lastKey === '' ? 0 : Number(lastKey), rowsMax],
  }),
  encode: (fields) =>
    toBinary(StreamObjectsResponseSchema, create(StreamObjectsResponseSchema, fields)),
});

/** How the numbers are streamed. */
interface Running extends Pick<SliceSource, 'open'> {
  readonly resumeToken?: string;
  readonly firstLsn?: number;
}

/**
 * Streams the numbers; `fail` may throw for the nth slice when it has given so many of its own. The
 * first read's token is at `firstLsn`, a slice's as many behind it.
 */
async function run(
  fail: (slice: number, given: number) => void,
  { resumeToken = '', firstLsn = 100, open }: Running = {},
) {
  const collector = new Numbers();
  const asked: Asked[] = [];
  const told: string[] = [];
  const questions: Freshness[] = [];
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
  async function* stream(
    _: unknown,
    params: readonly unknown[],
    call: Call,
    how: StreamOptions<SliceBatch>,
  ) {
    const [after = 0, rows = 0] = params.map(Number);
    asked.push({ node: how.node, freshness: call.freshness, after });
    const slice = asked.length;
    fail(slice, 0);
    call.onServed(node(how.node ?? names[slice] ?? 'z'), tokenAt(firstLsn + slice));
    let given = 0;
    for (let number = after + 1; number <= Math.min(NUMBERS, after + rows); number += 1) {
      const batch = collector.add(number);
      if (batch !== undefined) yield batch;
      given += 1;
      fail(slice, given);
    }
    const rest = collector.take();
    if (rest !== undefined) yield rest;
  }
  const router = {
    stream,
    run: async (_: unknown, __: unknown, call: Call) => {
      questions.push(call.freshness);
      call.onServed(node('a'), tokenAt(firstLsn));
      return [{ found: true }];
    },
  } as unknown as Router;
  const call = {
    ...systemCall({ method: 'test', timeoutMs: 20_000, freshness: { kind: 'strong' } }),
    onServed: (by: { node: string }) => told.push(by.node),
  };
  const source = { ...sourceOf(collector), ...(open && { open }) };
  const messages = [];
  let error: unknown;
  try {
    for await (const bytes of streamSlices(
      { router, sealer, heartbeatMs: 10_000, keeping },
      call,
      source,
      resumeToken,
    )) {
      messages.push(fromBinary(StreamObjectsResponseSchema, bytes));
    }
  } catch (caught) {
    error = caught;
  }
  const keys = messages.flatMap(({ objects }) => objects.map(({ objectKey }) => Number(objectKey)));
  return { asked, told, questions, messages, keys, error };
}

const whole = Array.from({ length: NUMBERS }, (_, index) => index + 1);

const failures = [
  ['is lost', () => new StowageError('NO_NODE', { cause: new Error('Connection terminated') })],
  ['has a recovery conflict', recoveryConflict],
  ['may not be read any more', () => new StowageError('NO_NODE')],
  ['is behind', () => new StowageError('STANDBY_BEHIND')],
] as const;

describe('streamSlices', () => {
  it.each(failures)('goes on elsewhere behind what was given when its node %s', async (_, make) => {
    const undisturbed = await run(() => undefined);
    const { asked, told, messages, keys } = await run((slice, given) => {
      // Amid a batch, so that rows are left in the collector.
      if (slice === 2 && given === 13) throw make();
    });
    expect(keys).toEqual(whole);
    expect(asked.map((slice) => slice.node)).toEqual(
      ['a', 'a', undefined, 'd', 'd'].slice(0, asked.length),
    );
    expect(asked[2]).toEqual({
      node: undefined,
      freshness: { kind: 'at_least', token: tokenAt(102) },
      after: 30,
    });
    // The same node too: it may have been restarted between two slices.
    expect(asked[1]?.freshness).toEqual({ kind: 'at_least', token: tokenAt(101) });
    expect(told).toEqual(['a']);
    const summary = messages.at(-1)?.summary;
    const { token, ...sum } = undisturbed.messages.at(-1)?.summary ?? {};
    expect(summary).toMatchObject({ ...sum, items: BigInt(NUMBERS) });
    expect([token, summary?.token]).toEqual([tokenAt(104), tokenAt(100 + asked.length)]);
  });

  it('leaves it to what opens it to find the project, behind one look at it', async () => {
    const open = async () => ({ lastKey: '', token: tokenAt(100) });
    const { questions, keys } = await run(() => undefined, { open });
    expect(keys).toEqual(whole);
    // So that a token whose write was lost is told of; who does not know the project yet is not.
    expect(questions).toEqual([{ kind: 'strong' }]);
  });

  it.each([
    ['an older node', 50, undefined],
    ['a node that has it', 200, 'a'],
  ])('has what was read before a resume: %s is asked first', async (_, firstLsn, expected) => {
    const first = await run((slice, given) => {
      if (slice === 2 && given === 13) throw new StowageError('SLOW_CONSUMER');
    });
    const resumeToken = first.messages.at(-1)?.resumeToken ?? '';
    const second = await run(() => undefined, { resumeToken, firstLsn });
    expect([...first.keys, ...second.keys]).toEqual(whole);
    const known = { kind: 'at_least', token: tokenAt(102) };
    expect(second.questions).toEqual([known, { kind: 'strong' }]);
    expect(second.told).toEqual(['a']);
    const latest = tokenAt(Math.max(102, firstLsn));
    expect(second.asked[0]).toEqual({
      node: expected,
      freshness: { kind: 'at_least', token: latest },
      after: 30,
    });
    // It covers what was sent before the resume.
    const { items, token } = second.messages.at(-1)?.summary ?? {};
    expect(items).toBe(BigInt(NUMBERS));
    expect(token).toBe(tokenAt(Math.max(102, firstLsn + 2)));
  });

  it('tells which node serves now', async () => {
    const { messages } = await run((slice, given) => {
      if (slice === 2 && given === 10) throw new StowageError('NO_NODE');
    });
    const nodes = messages.map(({ checkpoint }) => checkpoint?.node);
    expect(nodes[0]).toBe('a');
    expect(nodes.at(-1)).toBe('d');
  });

  it.each(['SLOW_CONSUMER', 'TOKEN_HISTORY_LOST', 'OVERLOADED', 'INTERNAL'] as const)(
    'fails behind what was given for %s',
    async (reason) => {
      const { keys, error, asked } = await run((slice, given) => {
        if (slice === 2 && given === 10) throw new StowageError(reason);
      });
      expect(error).toMatchObject({ reason });
      expect(keys).toEqual(whole.slice(0, 30));
      expect(asked).toHaveLength(2);
    },
  );

  it('is given up after eight failures in a row', async () => {
    const { asked, error } = await run((slice) => {
      if (slice > 1) throw new StowageError('NO_NODE');
    });
    expect(error).toMatchObject({ reason: 'NO_NODE' });
    expect(asked).toHaveLength(1 + 8);
  });

  it('counts failures anew once something was given', async () => {
    const { keys, asked } = await run((_, given) => {
      if (given === 7) throw new StowageError('NO_NODE');
    });
    expect(keys).toEqual(whole);
    expect(asked.length).toBeGreaterThan(8);
  });
});
