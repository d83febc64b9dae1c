/**
 * Where the database's password comes from: the URL, POSTGRES_PASSWORD, POSTGRES_PASSWORD_FILE,
 * PGPASSFILE, in this order. Only what is named is read, never ~/.pgpass: a service should not log
 * in by what happens to lie in a home folder.
 */

import { readFileSync, statSync } from 'node:fs';
import { findPassword } from './lib/pass-file.js';

/** How settings that are paths are read; tests hand in their own. */
export interface SettingFiles {
  /** @throws Error where it cannot be read */
  read(path: string): string;
  /** Whether nobody but the owner has rights to it. @throws Error where it is not there */
  isPrivate(path: string): boolean;
}

/** The files of this machine. Windows keeps rights elsewhere, and libpq does not look either. */
export const systemFiles: SettingFiles = {
  read: (path) => readFileSync(path, 'utf8'),
  isPrivate: (path) => process.platform === 'win32' || (statSync(path).mode & 0o077) === 0,
};

/** The setting that a password was taken from. */
export type PasswordSource =
  | 'DATABASE_URL'
  | 'STOWAGE_ADMIN_URL'
  | 'POSTGRES_PASSWORD'
  | 'POSTGRES_PASSWORD_FILE'
  | 'PGPASSFILE';

/** A password and whence it came; both undefined where there is none. */
export interface FoundPassword {
  readonly password: string | undefined;
  readonly source: PasswordSource | undefined;
}

/** No password, for a server that asks for none. */
export const noPassword: FoundPassword = { password: undefined, source: undefined };

/** Reads a file that a setting names; reports under its key and is undefined if it cannot. */
export type ReadNamed = (key: string, path: string | undefined) => string | undefined;

/** A reader that turns what goes wrong into a problem. */
export function namedReader(files: SettingFiles, problems: string[]): ReadNamed {
  return (key, path) => {
    try {
      return path === undefined ? undefined : files.read(path);
    } catch (error) {
      problems.push(`${key}: cannot read ${path}: ${(error as Error).message}`);
      return undefined;
    }
  };
}

/** The password of POSTGRES_PASSWORD_FILE: all of it but the line end that editors add. */
export function passwordOfFile(text: string, problems: string[]): string | undefined {
  const password = text.replace(/\r?\n$/, '');
  if (password === '') {
    problems.push('POSTGRES_PASSWORD_FILE: is empty; it must hold the password');
    return undefined;
  }
  if (/[\r\n]/.test(password)) {
    problems.push('POSTGRES_PASSWORD_FILE: has several lines; it must hold the password alone');
    return undefined;
  }
  return password;
}

/** A login as a password file is asked for it. */
export interface Login {
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  readonly database: string;
  readonly user: string;
}

/** A reader of PGPASSFILE; the file is read once, when the first password is looked up. */
export function passFileReader(
  path: string | undefined,
  files: SettingFiles,
  problems: string[],
): (login: Login) => FoundPassword {
  let text: string | undefined;
  return (login) => {
    if (path === undefined) return noPassword;
    text ??= readPassFile(path, files, problems);
    const found = login.nodes.flatMap(
      (node) => findPassword(text ?? '', { ...login, ...node }) ?? [],
    );
    // A standby has the primary's roles with their passwords: who differs is of another cluster.
    if (new Set(found).size > 1) {
      problems.push(
        'PGPASSFILE: has several passwords for the nodes of one cluster, which share their ' +
          'logins; give each node the same, or one line with * as its host',
      );
    }
    const [password] = found;
    return password === undefined ? noPassword : { password, source: 'PGPASSFILE' };
  };
}

function readPassFile(path: string, files: SettingFiles, problems: string[]): string {
  try {
    if (files.isPrivate(path)) return files.read(path);
    problems.push(
      `PGPASSFILE: others than its owner have rights to ${path}, and PostgreSQL's own programs ` +
        `would ignore it; run chmod 600 ${path}`,
    );
  } catch (error) {
    problems.push(`PGPASSFILE: cannot read ${path}: ${(error as Error).message}`);
  }
  return '';
}
