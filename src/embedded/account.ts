/**
 * The account that PostgreSQL runs as. PostgreSQL refuses root, and its tools need a uid that has
 * an entry in the passwd file, so a cluster that root starts drops to `nobody`, which exists on
 * every system, instead of adding a user to the machine.
 */
import { readFileSync } from 'node:fs';
import { EmbeddedError } from './embedded-error.js';

const ACCOUNT_NAME = 'nobody';

/** A user of the system, by its passwd entry. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** Finds the entry of `name` in the text of a passwd file. */
export function findAccount(passwd: string, name: string): Account | undefined {
  for (const line of passwd.split('\n')) {
    const [entryName, , uid, gid] = line.split(':');
    if (entryName === name && uid !== undefined && gid !== undefined) {
      // macOS writes nobody as -2; the system call takes the same bits unsigned.
      return { name, uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 };
    }
  }
  return undefined;
}

/**
 * Chooses the account to drop to: `undefined` means "stay who you are" (an ordinary user, or a
 * platform without uids).
 *
 * @throws {EmbeddedError} ACCOUNT_MISSING when root finds no unprivileged account
 */
export function accountToDropTo(): Account | undefined {
  if (process.geteuid?.() !== 0) {
    return undefined;
  }
  const account = findAccount(readFileSync('/etc/passwd', 'utf8'), ACCOUNT_NAME);
  if (account === undefined || account.uid === 0) {
    throw new EmbeddedError(
      'ACCOUNT_MISSING',
      `PostgreSQL refuses to run as root and /etc/passwd has no unprivileged "${ACCOUNT_NAME}"; ` +
        'start this as an ordinary user',
    );
  }
  return account;
}
