// How much a node may be asked for the plans of slow statements; the plans themselves are in
// test/postgres/inspector.test.ts.
import { expect, it, onTestFinished } from 'vitest';
import { StowageError } from '../../src/errors.js';
import { type SlowStatementEvent, slowChannel } from '../../src/postgres/events.js';
import type { Work } from '../../src/postgres/routing.js';
import { SlowStatements } from '../../src/postgres/slow-statements.js';
import { systemCall } from '../../src/postgres/system-call.js';

type Inspect = ConstructorParameters<typeof SlowStatements>[1];

const plan = { 'QUERY PLAN': [{ Plan: { 'Node Type': 'Result' } }] };

const workOf = (name: string): Work => ({
  name,
  route: {
    node: 'a:1',
    role: 'primary',
    lagMs: 0,
    startedAt: '',
    goodUpTo: undefined,
    mustReplay: undefined,
    isFallback: false,
  },
  call: {
    ...systemCall({ method: 'stowage.v1.StorageService/GetObject', timeoutMs: 60_000 }),
    trace: { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), isSampled: true },
  },
  phase: 'read',
  attempt: 1,
});

/** Statements that are noted in turn, by an answer to whoever asks for their plans. */
async function noted(names: readonly string[], inspect: Inspect): Promise<SlowStatementEvent[]> {
  const events: SlowStatementEvent[] = [];
  const listen = (event: unknown) => events.push(event as SlowStatementEvent);
  slowChannel.subscribe(listen);
  onTestFinished(() => void slowChannel.unsubscribe(listen));
  const slow = new SlowStatements({ thresholdMs: 10, withParameters: false }, inspect);
  for (const name of names) {
    const { length } = events;
    slow.note(workOf(name), { statement: { name, text: 'select 1' }, params: [] }, 11);
    await expect.poll(() => events.length).toBe(length + 1);
  }
  return events;
}

it('asks for the plan of a statement once a minute, briefly and outside of its trace', async () => {
  const asked: Parameters<Inspect>[] = [];
  const inspect: Inspect = (...question) => {
    asked.push(question);
    return Promise.resolve([plan]);
  };
  const beforeMs = performance.now();
  const events = await noted(['one', 'one', 'two'], inspect);
  expect(asked.map(([node]) => node)).toEqual(['a:1', 'a:1']);
  for (const [, , , call] of asked) {
    expect(call.deadlineMs - beforeMs).toBeLessThan(10_000);
    expect(call).toMatchObject({ method: 'stowage.internal/Explain', trace: undefined });
  }
  expect(new Set(events.map(({ planHash }) => planHash)).size).toBe(1);
  expect(events[0]?.planHash).toMatch(/^[0-9a-f]{12}$/);
});

it('asks for no other plan soon after a question in vain', async () => {
  let asked = 0;
  const inspect: Inspect = () => {
    asked += 1;
    return Promise.reject(new StowageError('DEADLINE_EXCEEDED'));
  };
  const events = await noted(['one', 'two', 'three'], inspect);
  expect(asked).toBe(1);
  expect(events.map(({ statement }) => statement)).toEqual(['one', 'two', 'three']);
  expect(events.map(({ planHash }) => planHash)).toEqual([undefined, undefined, undefined]);
});
