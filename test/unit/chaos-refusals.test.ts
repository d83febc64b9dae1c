/** What the callers of a chaos run may be told, and the streams that add up. */

import { crc32 } from 'node:zlib';
import { create, toBinary } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { describe, expect, it } from 'vitest';
import { StreamObjectsResponseSchema } from '../../gen/stowage/v1/storage_list_pb.js';
import type { Reason } from '../../src/errors.js';
import { objectionTo, type Situation } from '../chaos/refusals.js';
import { StreamTally } from '../chaos/stream-tally.js';

const write: Situation = {
  ...{ demand: undefined, hasRequestId: true, elapsedMs: 100, timeoutMs: 5_000 },
  ...{
    isCancelled: false,
    isSlow: false,
    isStream: false,
    isCalm: false,
    hasNode: false,
    isServerDown: false,
  },
};
const read = (demand: NonNullable<Situation['demand']>): Situation => ({ ...write, demand });

const mayBeTold = (reason: Reason | undefined, situation: Situation, code = Code.Unknown) =>
  objectionTo({ reason, code }, situation) === undefined;

describe('a refusal', () => {
  it('fits what was asked for', () => {
    expect(mayBeTold('NO_PRIMARY', write)).toBe(true);
    expect(mayBeTold('NO_PRIMARY', read('strong'))).toBe(true);
    expect(mayBeTold('NO_PRIMARY', read('eventual'))).toBe(false);
    expect(mayBeTold('NO_NODE', read('eventual'))).toBe(true);
    expect(mayBeTold('NO_NODE', write)).toBe(false);
    expect(mayBeTold('STANDBY_BEHIND', read('at_least'))).toBe(true);
    expect(mayBeTold('STANDBY_BEHIND', read('eventual'))).toBe(false);
    expect(mayBeTold('TOKEN_HISTORY_LOST', read('max_staleness'))).toBe(false);
    expect(mayBeTold('TOKEN_HISTORY_LOST', { ...read('eventual'), isStream: true })).toBe(true);
  });

  it('is none of those that nobody may be told', () => {
    for (const reason of ['INTERNAL', 'REQUEST_ID_REUSED', 'PROJECT_NOT_FOUND'] as const) {
      expect(mayBeTold(reason, write)).toBe(false);
    }
  });

  it('of a commit in doubt is for those without a request id, or without time', () => {
    const reason = 'COMMIT_OUTCOME_UNKNOWN';
    expect(mayBeTold(reason, write)).toBe(false);
    expect(mayBeTold(reason, { ...write, hasRequestId: false })).toBe(true);
    expect(mayBeTold(reason, { ...write, elapsedMs: 5_000 })).toBe(true);
    expect(mayBeTold(reason, { ...read('strong'), elapsedMs: 5_000 })).toBe(false);
  });

  it('for a deadline comes behind it', () => {
    expect(mayBeTold('DEADLINE_EXCEEDED', write)).toBe(false);
    expect(mayBeTold('DEADLINE_EXCEEDED', { ...write, elapsedMs: 5_001 })).toBe(true);
    expect(mayBeTold(undefined, { ...write, elapsedMs: 5_001 }, Code.DeadlineExceeded)).toBe(true);
  });

  it('has a reason unless its caller or its server went away', () => {
    expect(mayBeTold(undefined, write, Code.Unavailable)).toBe(false);
    expect(mayBeTold(undefined, { ...write, isServerDown: true }, Code.Unavailable)).toBe(true);
    expect(mayBeTold(undefined, write, Code.Canceled)).toBe(false);
    expect(mayBeTold(undefined, { ...write, isCancelled: true }, Code.Canceled)).toBe(true);
  });

  it('of a read that found no node needs one that is nowhere', () => {
    expect(mayBeTold('NO_NODE', { ...read('eventual'), hasNode: true })).toBe(false);
    expect(mayBeTold('NO_NODE', { ...read('at_least'), hasNode: true })).toBe(true);
  });

  it('of a read that needs no primary does not wait for its deadline', () => {
    const late = { elapsedMs: 5_001, timeoutMs: 5_000 };
    expect(mayBeTold('DEADLINE_EXCEEDED', { ...read('eventual'), ...late })).toBe(false);
    expect(mayBeTold('DEADLINE_EXCEEDED', { ...read('eventual'), ...late, isSlow: true })).toBe(
      true,
    );
    expect(mayBeTold('DEADLINE_EXCEEDED', { ...read('strong'), ...late })).toBe(true);
  });

  it('of a missing node needs a fault', () => {
    expect(mayBeTold('NO_PRIMARY', { ...write, isCalm: true })).toBe(false);
    expect(mayBeTold('OVERLOADED', { ...write, isCalm: true })).toBe(false);
  });
});

/** A message of a stream as it stands on the wire. */
function message(keys: readonly string[], rest: object = {}): Buffer {
  const objects = keys.map((objectKey) => ({ objectKey, owner: 'x'.repeat(200) }));
  const items = toBinary(
    StreamObjectsResponseSchema,
    create(StreamObjectsResponseSchema, { objects }),
  );
  const fields = create(StreamObjectsResponseSchema, { crc32: crc32(items), ...rest });
  return Buffer.concat([items, toBinary(StreamObjectsResponseSchema, fields)]);
}

/** The summary of messages with these keys. */
function summaryOf(...messages: readonly (readonly string[])[]) {
  const bytes = Buffer.concat(messages.map((keys) => message(keys, { crc32: 0 })));
  const items = BigInt(messages.flat().length);
  return { items, bytes: BigInt(bytes.length), crc32: crc32(bytes), token: 'token' };
}

describe('a stream', () => {
  it('adds up where every message does', () => {
    const tally = new StreamTally();
    tally.take(message(['a', 'b'], { resumeToken: 'behind b' }));
    expect(tally.resumeToken).toBe('behind b');
    tally.take(message(['c']));
    tally.take(message([], { summary: summaryOf(['a', 'b'], ['c']) }));
    expect(tally.problems).toEqual([]);
    expect(tally).toMatchObject({ items: 3, token: 'token' });
  });

  it('does not where a message or the summary is another one', () => {
    const problemsOf = (...messages: readonly Buffer[]) => {
      const tally = new StreamTally();
      for (const each of messages) tally.take(each);
      return tally.problems.length;
    };
    expect(problemsOf(message(['a'], { crc32: 1 }))).toBe(1);
    expect(problemsOf(message(['b', 'a']))).toBe(1);
    expect(problemsOf(message(['a']), message(['a']))).toBe(1);
    expect(problemsOf(message(['a']), message([], { summary: summaryOf(['b']) }))).toBe(1);
    expect(problemsOf(message(['a']), message([], { summary: summaryOf(['a', 'b']) }))).toBe(3);
  });
});
