/**
 * Records objects: one, a batch of a call, or a batch of an ingest, all by the same statements.
 *
 * What is there is locked and compared first, then written. One statement that inserted or updated
 * at once would be a round trip shorter, but could not hold preconditions against a key that
 * another transaction makes meanwhile.
 */

import { RecordOutcome } from '../../gen/stowage/v1/storage_record_pb.js';
import { StowageError } from '../errors.js';
import { fromMillis, toIsoMicros } from '../lib/timestamp.js';
import type { Call } from '../postgres/call.js';
import type { Transaction } from '../postgres/router-api.js';
import type { Change } from './commit.js';
import { columnArrays, type ObjectInput, sortInputs } from './object-input.js';
import { lockObjects, writeObjects } from './objects.sql.js';
import { type Decision, decide } from './record-decision.js';

/** A key can be made by another transaction once; then its row is there to be locked. */
const ROUNDS_MAX = 3;

/** What a batch came to. */
export interface Recorded {
  /** One decision an input, in the order of the inputs. */
  readonly decisions: readonly Decision[];
  /** In key order; none for what was unchanged. */
  readonly changes: readonly Change[];
}

/**
 * Records a batch inside a transaction.
 * @throws StowageError INVALID_REQUEST, ALREADY_EXISTS, ETAG_MISMATCH, REVISION_MISMATCH; nothing
 * of the batch is then kept.
 */
export async function recordObjects(
  transaction: Transaction,
  call: Call,
  inputs: readonly ObjectInput[],
): Promise<Recorded> {
  const now = fromMillis(Date.now());
  const decisions = new Map<string, Decision>();
  const sorted = sortInputs(inputs);
  let open = sorted;
  for (let round = 1; open.length > 0; round += 1) {
    if (round > ROUNDS_MAX) throw new StowageError('OVERLOADED', { retryDelayMs: 100 });
    const rows = await transaction.run(lockObjects, [call.project, ...columnArrays(open)]);
    const locked = new Map(rows.map((row) => [row.object_key, row]));
    const decided = open.map((input) => decide(input, locked.get(input.objectKey), now));
    for (const decision of decided) decisions.set(decision.input.objectKey, decision);
    open = await write(transaction, call, decided);
  }
  const inOrder = (list: readonly ObjectInput[]): Decision[] =>
    list.flatMap(({ objectKey }) => decisions.get(objectKey) ?? []);
  return { decisions: inOrder(inputs), changes: inOrder(sorted).flatMap(changeOf) };
}

/** Writes what changes; gives back the inputs whose key another transaction has just made. */
async function write(
  transaction: Transaction,
  call: Call,
  decided: readonly Decision[],
): Promise<ObjectInput[]> {
  const changing = decided.filter(({ outcome }) => outcome !== RecordOutcome.UNCHANGED);
  if (changing.length === 0) return [];
  const settled = changing.map(({ input, versionId, lastModified }) => ({
    ...input,
    versionId,
    lastModified,
  }));
  const rows = await transaction.run(writeObjects, [
    call.project,
    ...columnArrays(settled),
    changing.map(({ id }) => id),
    changing.map(({ revision }) => revision),
    changing.map(({ createdAt }) => toIsoMicros(createdAt)),
    call.principal,
  ]);
  if (rows.length === changing.length) return [];
  const written = new Set(rows.map((row) => row.object_key));
  return changing.map(({ input }) => input).filter(({ objectKey }) => !written.has(objectKey));
}

function changeOf(decision: Decision): Change[] {
  if (decision.outcome === RecordOutcome.UNCHANGED) return [];
  return [
    {
      kind: decision.outcome === RecordOutcome.CREATED ? 'object.created' : 'object.updated',
      objectKey: decision.input.objectKey,
      revision: decision.revision,
      versionId: decision.versionId,
      owner: decision.input.owner,
      changedFields: decision.changedFields,
    },
  ];
}
