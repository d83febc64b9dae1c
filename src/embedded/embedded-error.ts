/** The one error type of the embedded cluster: a reason for programs, a sentence for people. */

/** Why an embedded cluster could not do what it was told. */
export type EmbeddedReason =
  | 'ACCOUNT_MISSING'
  | 'DATA_BROKEN'
  | 'DATA_LOCKED'
  | 'DATA_VERSION_MISMATCH'
  | 'FOLDER_UNSAFE'
  | 'NODE_STATE'
  | 'NODE_UNKNOWN'
  | 'OPTION_INVALID'
  | 'PACKAGE_MISSING'
  | 'PORT_TAKEN'
  | 'START_FAILED'
  | 'TOOL_FAILED';

/** An error of the embedded cluster. The message is a sentence that says what to do next. */
export class EmbeddedError extends Error {
  readonly reason: EmbeddedReason;

  constructor(reason: EmbeddedReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'EmbeddedError';
    this.reason = reason;
  }
}

/** Says whether `error` is a system error with the code `code`, such as `ENOENT`. */
export function isSystemError(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
