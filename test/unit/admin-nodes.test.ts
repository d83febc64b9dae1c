// Which node operators' questions go to, over nodes of the test's own.
import { describe, expect, it } from 'vitest';
import { StowageError } from '../../src/errors.js';
import { NEVER } from '../../src/lib/interruption.js';
import type { Call } from '../../src/postgres/call.js';
import type { NodeSnapshot } from '../../src/postgres/router-handle.js';
import { askNode, askNodes, isFenced } from '../../src/store/admin/nodes.js';
import type { ClusterStore } from '../../src/store/store.js';

type State = NodeSnapshot['state'];
type Answer = string | StowageError;

const question = { name: 'who-are-you', intent: 'read', text: '' } as const;
const silent = new StowageError('NO_NODE');

/** Nodes by name with their state and what they answer; which of them were asked, in order. */
function storeOf(nodes: Readonly<Record<string, readonly [State, Answer]>>, primary?: string) {
  const asked: string[] = [];
  const deadlines: number[] = [];
  const topology = () => ({
    primary,
    nodes: Object.entries(nodes).map(([name, [state]]) => ({ name, state })),
  });
  const inspect = async (name: string, _statement: unknown, _params: unknown, call: Call) => {
    asked.push(name);
    deadlines.push(call.deadlineMs - performance.now());
    const answer = nodes[name]?.[1] ?? new StowageError('NODE_NOT_FOUND');
    if (answer instanceof StowageError) throw answer;
    return [answer];
  };
  return { store: { cluster: { topology, inspect } } as unknown as ClusterStore, asked, deadlines };
}

const callFor = (timeoutMs: number, signal = NEVER) =>
  ({ deadlineMs: performance.now() + timeoutMs, signal }) as Call;
const ask = (store: ClusterStore, name = '') => askNode(store, callFor(10_000), name, question, []);
const askAll = (store: ClusterStore, call = callFor(10_000)) => askNodes(store, call, question, []);

describe('one node', () => {
  it('is the primary where nobody names another', async () => {
    const { store, asked } = storeOf({ a: ['standby', 'A'], b: ['primary', 'B'] }, 'b');
    expect(await ask(store)).toEqual({ node: 'b', rows: ['B'] });
    expect(await ask(store, 'a')).toEqual({ node: 'a', rows: ['A'] });
    expect(asked).toEqual(['b', 'a']);
  });

  it('is the best of the others where the primary is not there or silent', async () => {
    const nodes = {
      lost: ['unreachable', silent],
      fenced: ['fenced', 'F'],
      lagging: ['lagging', 'L'],
      good: ['standby', silent],
    } as const;
    const none = storeOf(nodes);
    expect(await ask(none.store)).toEqual({ node: 'lagging', rows: ['L'] });
    expect(none.asked).toEqual(['good', 'lagging']);
    const gone = storeOf({ ...nodes, former: ['primary', silent] }, 'former');
    expect(await ask(gone.store)).toEqual({ node: 'lagging', rows: ['L'] });
    expect(gone.asked[0]).toBe('former');
  });

  it('is none where all are silent, and no other where one refuses', async () => {
    const mute = storeOf({ a: ['standby', silent], b: ['primary', silent] }, 'b');
    await expect(ask(mute.store)).rejects.toMatchObject({ reason: 'NO_NODE' });
    expect(mute.asked).toEqual(['b', 'a']);
    await expect(ask(storeOf({}).store)).rejects.toMatchObject({ reason: 'NO_NODE' });
    const busy = new StowageError('OVERLOADED');
    const full = storeOf({ a: ['standby', 'A'], b: ['primary', busy] }, 'b');
    await expect(ask(full.store)).rejects.toBe(busy);
    expect(full.asked).toEqual(['b']);
    await expect(ask(mute.store, 'nowhere')).rejects.toMatchObject({ reason: 'NODE_NOT_FOUND' });
  });
});

describe('all nodes', () => {
  it('answer in the order of the settings within three seconds, or are left out', async () => {
    const late = new StowageError('DEADLINE_EXCEEDED');
    const { store, deadlines } = storeOf({
      a: ['standby', 'A'],
      b: ['unreachable', silent],
      c: ['fenced', 'C'],
      d: ['standby', late],
    });
    expect(await askAll(store)).toEqual({
      answers: [
        { node: 'a', rows: ['A'] },
        { node: 'c', rows: ['C'] },
      ],
      silent: ['b', 'd'],
    });
    expect(Math.max(...deadlines)).toBeLessThanOrEqual(3_000);
    expect([isFenced(store, 'c'), isFenced(store, 'a')]).toEqual([true, false]);
  });

  it('are none where each is silent or late, or the caller has left', async () => {
    const late = new StowageError('DEADLINE_EXCEEDED');
    const { store } = storeOf({ a: ['standby', silent], b: ['standby', late] });
    await expect(askAll(store)).rejects.toMatchObject({ reason: 'NO_NODE' });
    const gone = new StowageError('CANCELLED');
    const left = callFor(10_000, AbortSignal.abort(gone));
    await expect(askAll(storeOf({ a: ['standby', 'A'] }).store, left)).rejects.toBe(gone);
  });
});
