/** Nodes that are kept free of calls, for every server: drained and undrained. */

import { create } from '@bufbuild/protobuf';
import {
  DrainNodeResponseSchema,
  UndrainNodeResponseSchema,
} from '../../gen/stowage/v1/cluster_service_pb.js';
import { StowageError } from '../errors.js';
import type { Call } from '../postgres/call.js';
import { type CommitResult, commit } from './commit.js';
import { digestOf } from './digest.js';
import * as statements from './node-drains.sql.js';
import type { ClusterStore } from './store.js';

/** Which node, and the caller's request id; empty where it gave none. */
export interface NodeRequest {
  /** `host:port`. */
  readonly node: string;
  readonly requestId: string;
}

/** A row of the audit trail where something changed, for asking again changes nothing. */
const traced = (rows: readonly unknown[], node: string) =>
  rows.length === 0 ? {} : { operation: { node } };

function isKnown({ cluster }: ClusterStore, node: string): boolean {
  return cluster.topology().nodes.some(({ name }) => name === node);
}

function nodeNotFound(node: string): StowageError {
  return new StowageError('NODE_NOT_FOUND', { metadata: { node } });
}

/**
 * Keeps calls away from a node until it is undrained.
 * @throws StowageError NODE_NOT_FOUND where the topology has no such node; those of `commit`.
 */
export function drainNode(
  store: ClusterStore,
  call: Call,
  { node, requestId }: NodeRequest,
): Promise<CommitResult<typeof DrainNodeResponseSchema>> {
  return commit(store, call, {
    action: 'DRAIN_NODE',
    requestId,
    digest: () => digestOf(node),
    projectMustExist: false,
    responseSchema: DrainNodeResponseSchema,
    // Asked behind the claim: a request that was done is answered so, though its node has gone.
    async write(transaction) {
      if (!isKnown(store, node)) throw nodeNotFound(node);
      const rows = await transaction.run(statements.drainNode, [node, call.principal]);
      return { response: create(DrainNodeResponseSchema), changes: [], ...traced(rows, node) };
    },
  });
}

/**
 * Lets a node take calls again, whether or not it is known: it may have been taken out of the
 * settings while it was drained.
 * @throws StowageError NODE_NOT_FOUND where it is neither drained nor known; those of `commit`.
 */
export function undrainNode(
  store: ClusterStore,
  call: Call,
  { node, requestId }: NodeRequest,
): Promise<CommitResult<typeof UndrainNodeResponseSchema>> {
  return commit(store, call, {
    action: 'UNDRAIN_NODE',
    requestId,
    digest: () => digestOf(node),
    projectMustExist: false,
    responseSchema: UndrainNodeResponseSchema,
    async write(transaction) {
      const rows = await transaction.run(statements.undrainNode, [node]);
      // A name that was mistyped must not look like a node that takes calls again.
      if (rows.length === 0 && !isKnown(store, node)) throw nodeNotFound(node);
      return { response: create(UndrainNodeResponseSchema), changes: [], ...traced(rows, node) };
    },
  });
}
