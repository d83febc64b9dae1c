/**
 * The one way to write. Data, change feed, audit trail and request log are one transaction, so that
 * none of them can tell another story than the others, and a later capability is added here once.
 */

import { type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { v7 as uuid } from 'uuid';
import { StowageError } from '../errors.js';
import { canonicalJson, type JsonMap } from '../lib/canonical-json.js';
import type { Call } from '../postgres/call.js';
import type { Transaction } from '../postgres/router-api.js';
import { closeCommit, openCommit, readRequest } from './commit.sql.js';
import { type CommitInDoubtEvent, commitInDoubtChannel } from './events.js';
import { indexForSearch } from './search-index.js';
import type { Store } from './store.js';

/** One change of one resource: a reference for the change feed, not an image. */
export interface Change {
  readonly kind:
    | 'object.created'
    | 'object.updated'
    | 'object.deleted'
    | 'object.undeleted'
    | 'object.purged'
    | 'version.created'
    | 'version.updated'
    | 'version.deleted'
    | 'project.created'
    | 'project.updated'
    | 'project.deleted';
  /** The object's key; empty for projects. */
  readonly objectKey: string;
  /** The revision that the change made. */
  readonly revision: bigint;
  readonly versionId: string;
  readonly owner: string;
  /** Column names; of a created, deleted or purged resource none are listed. */
  readonly changedFields: readonly string[];
  /** True where another change of the commit is what the caller did, and this came of it. */
  readonly isUnaudited?: boolean;
}

/** What a mutation did. Changes are sorted by key, in byte order. */
export interface Written<Response extends DescMessage> {
  readonly response: MessageShape<Response>;
  readonly changes: readonly Change[];
  /**
   * What was done where no resource of a project changed, such as to which node: the metadata of
   * one row of the audit trail. Left out: each audited change has its row, and no change none.
   */
  readonly operation?: JsonMap;
}

/** A mutation to commit. */
export interface Mutation<Response extends DescMessage> {
  /** The audit trail's action, such as `RECORD_OBJECT`. */
  readonly action: string;
  /** The caller's request id; empty where it gave none. */
  readonly requestId: string;
  /** SHA-256 of what was asked, equal for equal requests; asked only with a request id. */
  readonly digest: () => Uint8Array;
  /** False where the mutation itself decides whether the project must be there. */
  readonly projectMustExist: boolean;
  readonly responseSchema: Response;
  /**
   * Writes the data; what it throws rolls everything back. It is run again, from the beginning,
   * where the transaction came to nothing: what it leaves outside of the transaction must allow
   * that.
   */
  write(transaction: Transaction): Promise<Written<Response>>;
}

/** A response and the freshness token that covers it. */
export interface CommitResult<Response extends DescMessage> {
  readonly response: MessageShape<Response>;
  readonly token: string;
}

/** What a commit is made on, and whether it appends an audit event of its own. */
export type Writer = Pick<Store, 'router' | 'keeping'>;

/** How often one call claims its request id to settle a commit in doubt. */
const CLAIMS_MAX = 3;

/** What is known of the request id. */
interface Claim {
  /** It was ours in a transaction: none before that one committed, or ever will. */
  isMade: boolean;
}

/**
 * Commits a mutation, or answers what the same request was answered before: the token is fresh, the
 * rest is the same. A commit in doubt is settled by running the mutation again under its request
 * id: the claim waits for the first run where that is not over yet, and tells what became of it.
 * Looking the id up instead would miss a first run that still commits.
 * @throws StowageError PROJECT_NOT_FOUND, REQUEST_ID_REUSED, COMMIT_OUTCOME_UNKNOWN where the doubt
 * could not be settled, and what `write` and the router throw.
 */
export async function commit<Response extends DescMessage>(
  writer: Writer,
  call: Call,
  mutation: Mutation<Response>,
): Promise<CommitResult<Response>> {
  /** Since when a commit is in doubt; undefined: none is. */
  let sinceMs: number | undefined;
  const settled = (end: CommitInDoubtEvent['end']) => {
    if (sinceMs === undefined) return;
    const { requestId } = call;
    const durationMs = performance.now() - sinceMs;
    commitInDoubtChannel.publish({ end, requestId, durationMs } satisfies CommitInDoubtEvent);
  };
  for (let claims = 0; ; claims += 1) {
    const claim: Claim = { isMade: false };
    try {
      const result = await commitOnce(writer, call, mutation, claim);
      settled(claim.isMade ? 'repeated' : 'answered');
      return result;
    } catch (error) {
      const isOpen = isInDoubt(error);
      if (!isOpen && (sinceMs === undefined || isSettled(error, claim))) {
        settled('refused');
        throw error;
      }
      sinceMs ??= performance.now();
      const mayClaim = isOpen && mutation.requestId !== '' && claims < CLAIMS_MAX;
      if (mayClaim && !isOver(call)) continue;
      settled('unknown');
      throw isOpen ? error : unsettled(error);
    }
  }
}

/** Whether COMMIT was sent and its answer was lost. */
export function isInDoubt(error: unknown): boolean {
  return error instanceof StowageError && error.reason === 'COMMIT_OUTCOME_UNKNOWN';
}

/** Whether the failure of a claim tells all the same what became of the commit in doubt. */
function isSettled(error: unknown, claim: Claim): boolean {
  if (claim.isMade) return true;
  // The id is another request's, so the one in doubt left nothing; or its answer was found.
  const told: readonly unknown[] = ['REQUEST_ID_REUSED', 'COMMIT_NOT_REPLICATED'];
  return error instanceof StowageError && told.includes(error.reason);
}

/** Whether the limits of a call are reached. */
export function isOver(call: Call): boolean {
  return call.signal.aborted || performance.now() >= call.deadlineMs;
}

function unsettled(cause: unknown): StowageError {
  return new StowageError('COMMIT_OUTCOME_UNKNOWN', {
    message: 'The commit is in doubt and could not be settled; repeat with the same request_id.',
    cause,
  });
}

/** Runs the mutation in one transaction; may be called again, as may `mutation.write`. */
async function commitOnce<Response extends DescMessage>(
  { router, keeping }: Writer,
  call: Call,
  mutation: Mutation<Response>,
  claim: Claim,
): Promise<CommitResult<Response>> {
  const { value, token } = await router.transaction(call, async (transaction) => {
    const digest = mutation.requestId === '' ? null : mutation.digest();
    const requestId = mutation.requestId === '' ? null : mutation.requestId;
    const [opened] = await transaction.run(openCommit, [
      call.project,
      call.principal,
      requestId,
      call.method,
      digest,
    ]);
    if (digest !== null && !opened?.claimed) return answered(transaction, call, mutation, digest);
    claim.isMade = true;
    if (mutation.projectMustExist && !opened?.project_found) throw projectNotFound(call.project);
    const written = await mutation.write(transaction);
    await indexForSearch(transaction, call.project, objectKeysOf(written.changes));
    const isDone = written.changes.length > 0 || written.operation !== undefined;
    if (isDone || requestId !== null) {
      const response = toBinary(mutation.responseSchema, written.response);
      const params = closing(call, mutation, requestId, response, written);
      await transaction.runLast(closeCommit, [...params, keeping.auditMutations]);
    }
    return written.response;
  });
  return { response: value, token };
}

/** The keys of objects that changed, each once; a version's change leaves its object as it is. */
function objectKeysOf(changes: readonly Change[]): string[] {
  const ofObjects = changes.filter(({ kind }) => kind.startsWith('object.'));
  return [...new Set(ofObjects.map(({ objectKey }) => objectKey))];
}

/** What a request whose id is taken was answered. */
async function answered<Response extends DescMessage>(
  transaction: Transaction,
  call: Call,
  mutation: Mutation<Response>,
  digest: Uint8Array,
): Promise<MessageShape<Response>> {
  const [request] = await transaction.run(readRequest, [
    call.project,
    call.principal,
    mutation.requestId,
  ]);
  // Forgotten between the two statements: the id is free again.
  if (request === undefined) throw new StowageError('OVERLOADED', { retryDelayMs: 100 });
  const same = request.method === call.method && request.request_sha256.equals(digest);
  if (!same) {
    throw new StowageError('REQUEST_ID_REUSED', { metadata: { request_id: mutation.requestId } });
  }
  return fromBinary(mutation.responseSchema, request.response ?? new Uint8Array());
}

function closing<Response extends DescMessage>(
  call: Call,
  mutation: Mutation<Response>,
  requestId: string | null,
  response: Uint8Array,
  { changes, operation }: Written<Response>,
): readonly unknown[] {
  return [
    call.project,
    call.principal,
    requestId,
    mutation.action,
    response,
    changes.map((change) => change.kind),
    changes.map((change) => change.objectKey),
    changes.map((change) => change.revision),
    changes.map((change) => change.versionId),
    changes.map((change) => change.owner),
    changes.map((change) => change.changedFields.join(',')),
    changes.map(({ isUnaudited = false }) => (isUnaudited ? null : uuid())),
    call.origin.address ?? null,
    call.origin.userAgent ?? null,
    requestId ?? call.requestId,
    operation === undefined ? null : canonicalJson(operation),
    uuid(),
  ];
}

/** The error for a project that is not there. */
export function projectNotFound(project: string): StowageError {
  return new StowageError('PROJECT_NOT_FOUND', {
    message: `There is no project "${project}"; create it with ProjectService.CreateProject.`,
    metadata: { project },
  });
}
