/**
 * Which node is asked what operators want to know: the one that they name, else the primary, else
 * any; or all of them at once. Over connections that no other call uses.
 */

import { StowageError } from '../../errors.js';
import type { Call } from '../../postgres/call.js';
import type { NodeSnapshot } from '../../postgres/router-handle.js';
import type { Statement } from '../../postgres/statement.js';
import type { ClusterStore } from '../store.js';

/** What a node said. */
export interface NodeAnswer<Row> {
  readonly node: string;
  readonly rows: readonly Row[];
}

/** What all of them said, in the order of the settings. */
export interface ClusterAnswer<Row> {
  readonly answers: readonly NodeAnswer<Row>[];
  /** Those that did not answer in time. */
  readonly silent: readonly string[];
}

/** Of several nodes a silent one must not use up the time of the call. */
const SILENT_AFTER_MS = 3_000;

/**
 * Asks one node.
 * @param name empty: the primary, or any node where it is not known or does not answer.
 * @throws StowageError NODE_NOT_FOUND; NO_NODE where none answers; OVERLOADED where others ask;
 * DEADLINE_EXCEEDED; the signal's reason.
 */
export async function askNode<Row>(
  store: ClusterStore,
  call: Call,
  name: string,
  statement: Statement<Row>,
  params: readonly unknown[],
): Promise<NodeAnswer<Row>> {
  const ask = async (node: string) => ({
    node,
    rows: await store.cluster.inspect(node, statement, params, call),
  });
  if (name !== '') return ask(name);
  let silence = new StowageError('NO_NODE');
  for (const node of byPreference(store)) {
    try {
      return await ask(node);
    } catch (error) {
      if (!isSilence(error)) throw error;
      silence = error;
    }
  }
  throw silence;
}

/**
 * Asks every node at once.
 * @throws StowageError NO_NODE where none answers; the signal's reason; whatever else goes wrong
 * with all of them.
 */
export async function askNodes<Row>(
  store: ClusterStore,
  call: Call,
  statement: Statement<Row>,
  params: readonly unknown[],
): Promise<ClusterAnswer<Row>> {
  const latestMs = performance.now() + SILENT_AFTER_MS;
  const bounded = { ...call, deadlineMs: Math.min(call.deadlineMs, latestMs) };
  const nodes = store.cluster.topology().nodes.map(({ name }) => name);
  const results = await Promise.allSettled(
    nodes.map((node) => store.cluster.inspect(node, statement, params, bounded)),
  );
  call.signal.throwIfAborted();
  const answers: NodeAnswer<Row>[] = [];
  const silent: string[] = [];
  let failure: unknown = new StowageError('NO_NODE');
  for (const [index, node] of nodes.entries()) {
    const result = results[index];
    if (result?.status === 'fulfilled') {
      answers.push({ node, rows: result.value });
    } else {
      silent.push(node);
      failure = result?.reason;
    }
  }
  if (answers.length === 0) throw isTimeout(failure) ? new StowageError('NO_NODE') : failure;
  return { answers, silent };
}

/** Whether a node is of another history than the primary's. */
export function isFenced({ cluster }: ClusterStore, name: string): boolean {
  return cluster.topology().nodes.some((node) => node.name === name && node.state === 'fenced');
}

const places: Readonly<Record<NodeSnapshot['state'], number>> = {
  primary: 0,
  standby: 1,
  lagging: 2,
  draining: 3,
  unknown: 4,
  unreachable: 5,
  fenced: 6,
};

/** The primary first, then as good as they are. */
function byPreference({ cluster }: ClusterStore): string[] {
  const { nodes, primary } = cluster.topology();
  const place = ({ name, state }: NodeSnapshot) => (name === primary ? -1 : places[state]);
  return [...nodes].sort((left, right) => place(left) - place(right)).map(({ name }) => name);
}

function isSilence(error: unknown): error is StowageError {
  return error instanceof StowageError && error.reason === 'NO_NODE';
}

function isTimeout(error: unknown): boolean {
  return error instanceof StowageError && error.reason === 'DEADLINE_EXCEEDED';
}
