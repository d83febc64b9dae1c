import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { StowageError } from '../../src/errors.js';
import { forgetOldest } from '../../src/postgres/maintenance.js';
import { failureSentence, LeftBehind, leftBehind } from '../../src/postgres/maintenance-failure.js';

const refusal = (code: string) =>
  Object.assign(new pg.DatabaseError('of "secret"', 10, 'error'), { code });

describe('why a maintenance job failed', () => {
  it.each([
    [refusal('57P01'), /^The session on the primary was lost; begin the job again/],
    [new Error('Connection terminated unexpectedly'), /^The session on the primary was lost/],
    [refusal('55P03'), /^Another session kept the lock that this needs; `stowage admin activity`/],
    [refusal('40P01'), /^Another transaction was in the way; begin the job again\.$/],
    [refusal('57014'), /^Somebody cancelled it in the database\.$/],
    [refusal('53100'), /^The database has run out of disk or memory\.$/],
    [refusal('XX001'), /^PostgreSQL refused it \(SQLSTATE XX001\); the server's log has why\.$/],
    [new Error('a defect of secret'), /SQLSTATE unknown/],
    [new StowageError('DRAINING'), /^The server is shutting down/],
  ])('is told without the words of what lay behind: %s', (error, sentence) => {
    expect(failureSentence(error)).toMatch(sentence);
    expect(failureSentence(error)).not.toContain('secret');
    const behind = failureSentence(new LeftBehind(error));
    expect(behind).toBe(`${failureSentence(error)} ${leftBehind(new LeftBehind(error))}`);
    expect(leftBehind(error)).toBe('');
  });
});

describe('the list of jobs', () => {
  it('keeps the newest 100, and those that run however old they are', () => {
    const runs: { id: number; job: { state: 'running' | 'failed' } }[] = [];
    for (let id = 0; id < 103; id += 1) {
      runs.unshift({ id, job: { state: id === 0 ? 'running' : 'failed' } });
      forgetOldest(runs);
    }
    const newest = Array.from({ length: 99 }, (_, index) => 102 - index);
    expect(runs.map(({ id }) => id)).toEqual([...newest, 0]);
  });
});
