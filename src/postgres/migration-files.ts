/**
 * The migrations that this program has: files `NNNN_verb-noun.sql`, each with an up and a down
 * part. One that programs before it cannot live with is named `NNNN_verb-noun.breaking.sql`: its
 * name is all that an older program sees of it.
 */

import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { invalidField, StowageError } from '../errors.js';

/** The folder of the program's own migrations, beside this module in the source and when built. */
export const migrationsFolder = fileURLToPath(new URL('./migrations', import.meta.url));

const FILE_NAME = /^\d{4}_[a-z0-9]+(?:-[a-z0-9]+)*(?:\.breaking)?\.sql$/;
const NAME = /^[a-z0-9]+(?:-[a-z0-9]+)+(?:\.breaking)?$/;

const TEMPLATE = `-- Why the schema changes.

-- Up Migration

-- Down Migration
`;

/**
 * Lists the migrations of a folder in order, by name without `.sql`.
 * @throws Error where a file has another form of name, or two have the same number.
 */
export async function readMigrationNames(folder = migrationsFolder): Promise<readonly string[]> {
  const files = (await readdir(folder)).filter((file) => !file.startsWith('.')).sort();
  for (const [index, file] of files.entries()) {
    if (!FILE_NAME.test(file)) {
      throw new Error(`${file} in ${folder} is not named NNNN_verb-noun.sql`);
    }
    if (index > 0 && files[index - 1]?.slice(0, 4) === file.slice(0, 4)) {
      throw new Error(`${file} in ${folder} has the number of ${files[index - 1]}`);
    }
  }
  return files.map((file) => file.slice(0, -'.sql'.length));
}

/** Tells whether programs that do not know the migration must not use the schema it makes. */
export function isBreaking(name: string): boolean {
  return name.endsWith('.breaking');
}

/**
 * Writes an empty migration with the next number and gives its path.
 * @param folder default: that of the source, also for a program that was built from it
 * @throws StowageError INVALID_REQUEST where the name has another form than `verb-noun`, or where
 *   there is no source.
 */
export async function createMigration(name: string, folder = sourceFolder()): Promise<string> {
  if (!NAME.test(name)) {
    throw invalidField('name', 'has the form verb-noun, or verb-noun.breaking, in lower case');
  }
  const last = (await readMigrationNames(folder)).at(-1);
  const number = last === undefined ? 1 : Number(last.slice(0, 4)) + 1;
  const path = join(folder, `${String(number).padStart(4, '0')}_${name}.sql`);
  await writeFile(path, TEMPLATE, { flag: 'wx' });
  return path;
}

/** What is written beside a built program is lost with the next build. */
function sourceFolder(): string {
  if (import.meta.url.endsWith('.ts')) return migrationsFolder;
  const source = fileURLToPath(new URL('../../../src/postgres/migrations', import.meta.url));
  if (existsSync(source)) return source;
  throw new StowageError('INVALID_REQUEST', {
    message: 'Migrations are made in a checkout of the source; this program has none beside it.',
  });
}
