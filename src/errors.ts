/**
 * The one error table: every reason a call can fail for, with its gRPC code, what the caller may
 * do, and its sentence. Whatever leaves the service as an error is a {@link StowageError}.
 */

import { Code } from '../gen/google/rpc/code_pb.js';
import type { ErrorReason } from '../gen/stowage/v1/error_reason_pb.js';

/** A reason as `ErrorInfo.reason` names it. */
export type Reason = Exclude<keyof typeof ErrorReason, 'UNSPECIFIED'>;

/**
 * What a caller may do after an error.
 * - `never`: the same call fails again.
 * - `after_delay`: the same call may succeed after the delay of RetryInfo; nothing was done.
 * - `elsewhere`: the same call may succeed at once on another connection; nothing was done.
 * - `same_request_id`: it may have been done: repeat it only with its request_id.
 * - `resume`: open the stream again with its last resume_token.
 * - `begin_again`: drop the token and begin anew.
 */
export type RetryClass =
  | 'never'
  | 'after_delay'
  | 'elsewhere'
  | 'same_request_id'
  | 'resume'
  | 'begin_again';

/** One row of the error table. */
export interface ErrorRow {
  /** The gRPC status code. */
  readonly code: Code;
  /** What the caller may do. */
  readonly retry: RetryClass;
  /** What happened and what to do, for a person; the default message. */
  readonly sentence: string;
}

const row = (code: Code, retry: RetryClass, sentence: string): ErrorRow => ({
  code,
  retry,
  sentence,
});

/** Every reason, without gaps: one added to the proto does not compile until it has its row. */
export const errorTable: Readonly<Record<Reason, ErrorRow>> = {
  INVALID_REQUEST: row(
    Code.INVALID_ARGUMENT,
    'never',
    'The request breaks a rule; mend the fields that are named.',
  ),
  PAGE_TOKEN_INVALID: row(
    Code.INVALID_ARGUMENT,
    'begin_again',
    'The page token is altered or belongs to another call; begin again without it.',
  ),
  PROJECT_NOT_FOUND: row(
    Code.NOT_FOUND,
    'never',
    'There is no such project; create it with ProjectService.CreateProject.',
  ),
  HOOK_NOT_FOUND: row(Code.NOT_FOUND, 'never', 'There is no such hook in the project.'),
  EVENT_TIME_OUT_OF_RANGE: row(
    Code.OUT_OF_RANGE,
    'never',
    'The event is too old, too far ahead, or its month is sealed; it is not appended.',
  ),
  SCHEMA_MISMATCH: row(
    Code.FAILED_PRECONDITION,
    'never',
    'The database schema does not fit this program; run `stowage migrate status`.',
  ),
  DEADLINE_EXCEEDED: row(
    Code.DEADLINE_EXCEEDED,
    'same_request_id',
    'The deadline passed before the call was done.',
  ),
  COMMIT_NOT_REPLICATED: row(
    Code.UNKNOWN,
    'same_request_id',
    'The change is committed on the primary, but no standby has confirmed it.',
  ),
  EXPORT_IN_PROGRESS: row(
    Code.FAILED_PRECONDITION,
    'after_delay',
    'A running export still needs what retention would drop.',
  ),
  RATE_LIMITED: row(
    Code.RESOURCE_EXHAUSTED,
    'after_delay',
    'Too many calls; repeat after the delay.',
  ),
  OBJECT_NOT_FOUND: row(Code.NOT_FOUND, 'never', 'There is no such object in the project.'),
  VERSION_NOT_FOUND: row(Code.NOT_FOUND, 'never', 'The object has no such version.'),
  ALREADY_EXISTS: row(Code.ALREADY_EXISTS, 'never', 'The resource is there already.'),
  ETAG_MISMATCH: row(
    Code.ABORTED,
    'never',
    'The etag is another one than if_match_etag; read the object again, then decide.',
  ),
  REVISION_MISMATCH: row(
    Code.ABORTED,
    'never',
    'The revision is another one than if_revision; read the resource again, then decide.',
  ),
  REQUEST_ID_REUSED: row(
    Code.INVALID_ARGUMENT,
    'never',
    'The request_id was used for another request; take a fresh UUID.',
  ),
  TOKEN_MALFORMED: row(
    Code.INVALID_ARGUMENT,
    'begin_again',
    'The freshness token is not one of this service, or altered; drop it.',
  ),
  TOKEN_FROM_OTHER_CLUSTER: row(
    Code.FAILED_PRECONDITION,
    'begin_again',
    'The freshness token is of another database cluster; drop it.',
  ),
  TOKEN_HISTORY_LOST: row(
    Code.DATA_LOSS,
    'begin_again',
    'What the freshness token stands for was lost in a failover; look at the present state.',
  ),
  STANDBY_BEHIND: row(
    Code.UNAVAILABLE,
    'after_delay',
    'No node is fresh enough yet; repeat later or ask for less freshness.',
  ),
  NO_PRIMARY: row(Code.UNAVAILABLE, 'after_delay', 'No primary is known; repeat after the delay.'),
  NO_NODE: row(
    Code.UNAVAILABLE,
    'after_delay',
    'No database node can serve the call; repeat after the delay.',
  ),
  COMMIT_OUTCOME_UNKNOWN: row(
    Code.UNKNOWN,
    'same_request_id',
    'The connection was lost while committing; repeat with the same request_id.',
  ),
  OVERLOADED: row(
    Code.RESOURCE_EXHAUSTED,
    'after_delay',
    'The server has too much to do; repeat after the delay.',
  ),
  SLOW_CONSUMER: row(
    Code.RESOURCE_EXHAUSTED,
    'resume',
    'The stream was not read for too long; resume from its last resume_token.',
  ),
  DRAINING: row(
    Code.UNAVAILABLE,
    'elsewhere',
    'The server is shutting down; repeat on another connection.',
  ),
  SNAPSHOT_EXPIRED: row(
    Code.ABORTED,
    'begin_again',
    'The snapshot of the stream could not be held; begin again.',
  ),
  RESUME_TOKEN_MISMATCH: row(
    Code.INVALID_ARGUMENT,
    'begin_again',
    'The resume token is altered or of a call with other arguments; begin again without it.',
  ),
  QUOTA_EXCEEDED: row(Code.RESOURCE_EXHAUSTED, 'never', 'The project is over its quota.'),
  UNAUTHENTICATED: row(
    Code.UNAUTHENTICATED,
    'never',
    'The call has no valid credentials; send `authorization: Bearer <token>`.',
  ),
  PERMISSION_DENIED: row(Code.PERMISSION_DENIED, 'never', 'The caller may not do this.'),
  INTERNAL: row(
    Code.INTERNAL,
    'never',
    'The service failed; its log has the cause under the request id.',
  ),
  UNIMPLEMENTED: row(
    Code.UNIMPLEMENTED,
    'never',
    'The service does not offer this method on this transport.',
  ),
  MESSAGE_TOO_LARGE: row(
    Code.RESOURCE_EXHAUSTED,
    'never',
    'The message is over the limit; send smaller ones.',
  ),
  NODE_NOT_FOUND: row(
    Code.NOT_FOUND,
    'never',
    'There is no such database node; ClusterService.GetTopology tells the names.',
  ),
  TIMELINE_NOT_FOUND: row(
    Code.FAILED_PRECONDITION,
    'never',
    'No node takes writes on that timeline; ClusterService.GetTopology tells what they claim.',
  ),
  PRIMARY_PRESENT: row(
    Code.FAILED_PRECONDITION,
    'never',
    'A primary of another timeline takes writes, which would be given up; stop it for good first.',
  ),
  RELATION_NOT_FOUND: row(
    Code.NOT_FOUND,
    'never',
    'The schema has no such table or index; `stowage admin tables` and `indexes` list them.',
  ),
  MAINTENANCE_JOB_NOT_FOUND: row(
    Code.NOT_FOUND,
    'never',
    'This server knows no such maintenance job; ask the server that began it.',
  ),
  MAINTENANCE_RUNNING: row(
    Code.FAILED_PRECONDITION,
    'never',
    'A maintenance job is in the way; wait for its end or cancel it.',
  ),
  MAINTENANCE_UNAVAILABLE: row(
    Code.FAILED_PRECONDITION,
    'never',
    'This server has no login that owns the schema; set STOWAGE_ADMIN_URL.',
  ),
  ONLY_VERSION: row(
    Code.FAILED_PRECONDITION,
    'never',
    'It is the only version of the object; delete or purge the object instead.',
  ),
  SECRET_KEY_MISSING: row(
    Code.FAILED_PRECONDITION,
    'never',
    'The server has no key to encrypt secrets with; set STOWAGE_SECRETS_KEY there.',
  ),
  CANCELLED: row(Code.CANCELLED, 'same_request_id', 'The caller cancelled the call.'),
};

/** One field that breaks a rule. */
export interface FieldViolation {
  /** The path, such as `requests[3].object.size`. */
  readonly field: string;
  /** What the rule is. */
  readonly description: string;
}

/** What a {@link StowageError} says beyond its reason; all of it may be sent but `cause`. */
export interface StowageErrorOptions {
  /** Another sentence than the table's. */
  readonly message?: string;
  /** `ErrorInfo.metadata`: facts for programs. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Fields at fault; become `BadRequest`. */
  readonly violations?: readonly FieldViolation[];
  /** When to repeat, in milliseconds; becomes `RetryInfo`. */
  readonly retryDelayMs?: number;
  /** What lay behind; logged, never sent. */
  readonly cause?: unknown;
}

/** The one error of the service: a reason of the table with its facts. */
export class StowageError extends Error {
  override readonly name = 'StowageError';
  readonly reason: Reason;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly FieldViolation[];
  readonly retryDelayMs: number | undefined;

  constructor(reason: Reason, options: StowageErrorOptions = {}) {
    super(options.message ?? errorTable[reason].sentence, { cause: options.cause });
    this.reason = reason;
    this.metadata = options.metadata ?? {};
    this.violations = options.violations ?? [];
    this.retryDelayMs = options.retryDelayMs;
  }

  /** The gRPC status code of the reason. */
  get code(): Code {
    return errorTable[this.reason].code;
  }

  /** What the caller may do. */
  get retry(): RetryClass {
    return errorTable[this.reason].retry;
  }
}

/** An INVALID_REQUEST that names one field. */
export function invalidField(field: string, description: string): StowageError {
  return new StowageError('INVALID_REQUEST', {
    message: `${field}: ${description}`,
    violations: [{ field, description }],
  });
}
