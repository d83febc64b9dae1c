import { describe, expect, it } from 'vitest';
import { until } from '../../src/lib/wait.js';
import type { RouterHandle } from '../../src/postgres/router-handle.js';
import { statement } from '../../src/postgres/statement.js';
import { testCall } from '../support/router.js';
import { useRouter } from '../support/use-router.js';

const settings = statement<{ project: string; principal: string; timeout: string; name: string }>({
  name: 'test-settings',
  intent: 'readPrimary',
  text: `select current_setting('stowage.project') as project,
                current_setting('stowage.principal') as principal,
                current_setting('statement_timeout') as timeout,
                current_setting('application_name') as name`,
});

const planning = {
  intent: 'read',
  text: `select current_setting('plan_cache_mode') as mode`,
} as const;
const asPlanned = statement<{ mode: string }>({ ...planning, name: 'test-as-planned' });
const planned = statement<{ mode: string }>({
  ...planning,
  name: 'test-planned-generically',
  plan: 'generic',
});

const role = statement<{ in_recovery: boolean }>({
  name: 'test-role',
  intent: 'read',
  text: 'select pg_is_in_recovery() as in_recovery',
});

const insertNote = statement<{ id: bigint }>({
  name: 'test-insert-note',
  intent: 'write',
  text: 'insert into notes (body) values ($1) returning id',
});

const countNotes = statement<{ count: bigint }>({
  name: 'test-count-notes',
  intent: 'read',
  text: 'select count(*) as count from notes where body = $1',
});

const falseRead = statement<{ id: bigint }>({
  name: 'test-false-read',
  intent: 'readPrimary',
  text: `insert into notes (body) values ('never') returning id`,
});

const missingTable = statement({
  name: 'test-missing-table',
  intent: 'read',
  text: 'select 1 from no_such_table',
});

const divide = statement<{ quotient: number }>({
  name: 'test-divide',
  intent: 'read',
  text: 'select 1 / $1::int4 as quotient',
});

describe('Router.run', () => {
  const fixture = useRouter({
    prepare: [
      'create table notes (id int8 generated always as identity, body text)',
      'grant select, insert on notes to stowage_service',
    ],
  });

  it('runs a statement in the scope of its call', async () => {
    const call = testCall({ project: 'atlas', method: 'stowage.v1.StorageService/GetObject' });
    const [row] = await fixture.router.run(settings, [], call);
    expect(row).toMatchObject({
      project: 'atlas',
      principal: 'stowage',
      name: 'stowage StorageService/GetObject',
    });
    expect(row?.timeout).toMatch(/^2[01]/);
    expect(call.served).toHaveLength(1);
    expect(call.served[0]?.by).toMatchObject({ role: 'primary', lagMs: 0 });
    expect(call.served[0]?.token).toMatch(/^[\w-]{59}$/);
  });

  it('plans without values what asks for that, and nothing behind it', async () => {
    const modes: (string | undefined)[] = [];
    for (const each of [asPlanned, planned, asPlanned]) {
      const call = testCall({ freshness: { kind: 'strong' } });
      const [row] = await fixture.router.run(each, [], call);
      modes.push(row?.mode);
      expect(call.served[0]?.token).toBeDefined();
    }
    expect(modes).toEqual(['auto', 'force_generic_plan', 'auto']);
  });

  it('takes reads to a standby and tells its lag', async () => {
    const call = testCall();
    const [row] = await fixture.router.run(role, [], call);
    expect(row?.in_recovery).toBe(true);
    expect(call.served[0]?.by.role).toBe('standby');
    expect(call.served[0]?.by.lagMs).toBeLessThan(10_000);
    expect(call.served[0]?.token).toBeDefined();
  });

  it('takes strong reads to the primary', async () => {
    const call = testCall({ freshness: { kind: 'strong' } });
    const [row] = await fixture.router.run(role, [], call);
    expect(row?.in_recovery).toBe(false);
  });

  it('spreads reads over the standbys', async () => {
    const calls = Array.from({ length: 20 }, () => testCall({ freshness: { kind: 'eventual' } }));
    await Promise.all(calls.map((call) => fixture.router.run(role, [], call)));
    const nodes = calls.map(({ served }) => served[0]?.by.node);
    expect(new Set(nodes).size).toBe(2);
  });

  it('writes with a token that a later read sees', async () => {
    const call = testCall();
    const [row] = await fixture.router.run(insertNote, ['seen'], call);
    expect(row?.id).toEqual(expect.any(BigInt));
    const token = call.served[0]?.token ?? '';
    const reader = testCall({ freshness: { kind: 'at_least', token } });
    const [found] = await fixture.router.run(countNotes, ['seen'], reader);
    expect(found?.count).toBe(1n);
    const other = testCall({ tokens: [token] });
    const [again] = await fixture.router.run(countNotes, ['seen'], other);
    expect(again?.count).toBe(1n);
  });

  it('serves a token from a standby once one has replayed it', async () => {
    const call = testCall();
    await fixture.router.run(insertNote, ['replayed'], call);
    const token = call.served[0]?.token ?? '';
    await until(
      async () => {
        const reader = testCall({ freshness: { kind: 'at_least', token } });
        const [found] = await fixture.router.run(countNotes, ['replayed'], reader);
        expect(found?.count).toBe(1n);
        return reader.served[0]?.by.role === 'standby';
      },
      { timeoutMs: 10_000, what: 'a standby serves the token' },
    );
  });

  it('refuses a statement that says it reads and writes', async () => {
    const promise = fixture.router.run(falseRead, [], testCall());
    await expect(promise).rejects.toMatchObject({ reason: 'INTERNAL' });
    // Of the statement, not of the node: the primary stays what it is.
    expect(fixture.router.topology().hasPrimary).toBe(true);
  });

  it('says SCHEMA_MISMATCH for a missing table, and keeps the cause to itself', async () => {
    const error = await fixture.router.run(missingTable, [], testCall()).catch((caught) => caught);
    expect(error).toMatchObject({ reason: 'SCHEMA_MISMATCH' });
    expect(error.message).not.toContain('no_such_table');
    expect(error.cause).toMatchObject({ code: '42P01' });
  });

  it('goes on after a statement that failed while it was executed', async () => {
    const call = testCall({ freshness: { kind: 'strong' } });
    for (const divisor of [0, 1, 0, 2, 1]) {
      const promise = fixture.router.run(divide, [divisor], call);
      if (divisor === 0) await expect(promise).rejects.toMatchObject({ reason: 'INVALID_REQUEST' });
      else expect(await promise).toEqual([{ quotient: divisor === 1 ? 1 : 0 }]);
    }
  });

  it('sends nothing for a call that was aborted before', async () => {
    const signal = AbortSignal.abort();
    const promise = fixture.router.run(role, [], testCall({ signal }));
    await expect(promise).rejects.toMatchObject({ reason: 'CANCELLED' });
  });

  it('refuses parameters that are none', async () => {
    const promise = fixture.router.run(divide, [() => 1], testCall());
    await expect(promise).rejects.toMatchObject({ reason: 'INTERNAL' });
  });
});

describe('Freshness tokens', () => {
  const fixture = useRouter();

  const read = (router: RouterHandle, token: string) =>
    router.run(role, [], testCall({ freshness: { kind: 'at_least', token } }));

  it('are refused when a byte of them is altered', async () => {
    const call = testCall();
    await fixture.router.run(role, [], call);
    const bytes = Buffer.from(call.served[0]?.token ?? '', 'base64url');
    // Version, key id, timeline, LSN, signature; the system identifier is tested next.
    for (const index of [0, 1, 14, 20, 38]) {
      const altered = Buffer.from(bytes);
      altered.writeUInt8((altered[index] ?? 0) ^ 1, index);
      const promise = read(fixture.router, altered.toString('base64url'));
      await expect(promise).rejects.toMatchObject({ reason: 'TOKEN_MALFORMED' });
    }
  });

  it('are told apart from those of another cluster', async () => {
    const call = testCall();
    await fixture.router.run(role, [], call);
    const bytes = Buffer.from(call.served[0]?.token ?? '', 'base64url');
    bytes.writeUInt8((bytes[5] ?? 0) ^ 1, 5);
    const promise = read(fixture.router, bytes.toString('base64url'));
    await expect(promise).rejects.toMatchObject({ reason: 'TOKEN_FROM_OTHER_CLUSTER' });
  });

  it('are refused when they are no tokens at all', async () => {
    for (const text of ['', 'x', 'not a token', 'A'.repeat(52), 'A'.repeat(5000)]) {
      await expect(read(fixture.router, text)).rejects.toMatchObject({ reason: 'TOKEN_MALFORMED' });
      const promise = fixture.router.run(role, [], testCall({ tokens: [text] }));
      await expect(promise).rejects.toMatchObject({ reason: 'TOKEN_MALFORMED' });
    }
  });

  it('seal payloads for one purpose and binding', async () => {
    const { sealer } = fixture.router;
    const token = await sealer.seal('page', ['m', 'p'], Buffer.from('payload'));
    const opened = await sealer.open('page', ['m', 'p'], token);
    expect(Buffer.from(opened ?? []).toString()).toBe('payload');
    expect(await sealer.open('resume', ['m', 'p'], token)).toBeUndefined();
    expect(await sealer.open('page', ['m', 'q'], token)).toBeUndefined();
    expect(await sealer.open('page', ['mp', ''], token)).toBeUndefined();
    expect(await sealer.open('page', ['m', 'p'], `${token}=`)).toBeUndefined();
  });
});
