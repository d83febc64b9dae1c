/** Why a file of the tree is not recorded: the one table of reasons, and what is said of each. */

/** One reason. */
export type SkipReason =
  | 'symbolic-link'
  | 'not-a-file'
  | 'vanished'
  | 'unreadable'
  | 'not-utf8'
  | 'key-too-long'
  | 'keeps-changing';

/** What a reason means. */
interface SkipRow {
  /** Whether the tree is then not wholly recorded, which the exit code tells. */
  readonly isError: boolean;
  /** For a person, after the path. */
  readonly sentence: string;
}

/** Every reason, without gaps. */
export const skipTable: Readonly<Record<SkipReason, SkipRow>> = {
  'symbolic-link': { isError: false, sentence: 'symbolic link' },
  'not-a-file': { isError: false, sentence: 'not a regular file' },
  vanished: { isError: false, sentence: 'vanished while the tree was scanned' },
  unreadable: { isError: true, sentence: 'cannot be read' },
  'not-utf8': { isError: true, sentence: 'name is not valid UTF-8' },
  'key-too-long': { isError: true, sentence: 'key is over 1024 bytes' },
  'keeps-changing': { isError: true, sentence: 'changed each time it was read' },
};

/** One thing that was skipped; a directory stands for all that is in it. */
export interface Skip {
  readonly path: Buffer;
  readonly reason: SkipReason;
  /** What the operating system said, such as `EACCES`. */
  readonly detail?: string;
}

/** What of the recorded keys a skip leaves undecided: such a record is never called missing. */
export type Hides =
  /** None: nothing there could be recorded. */
  | { readonly hides: 'nothing' }
  /** The key itself: a file that may be there. */
  | { readonly hides: 'key'; readonly key: string }
  /** Every key that begins so: a directory that was not read. */
  | { readonly hides: 'prefix'; readonly key: string };

/** The error code of a failed file operation; other errors are thrown on. */
export function fileErrorCode(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  throw error;
}
