/**
 * What a cluster remembers between starts, in `cluster.json`: which node is the primary and which
 * ports were used. Everything else is read from the data folders themselves.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EmbeddedError, isSystemError } from './embedded-error.js';
import { exists, replaceFile } from './files.js';

/** The remembered state of a cluster. */
export interface ClusterState {
  /** Name of the primary. */
  readonly primary: string;
  /** Port of each node at the last start, by node name. */
  readonly ports: Readonly<Record<string, number>>;
}

const STATE_NAME = 'cluster.json';

/** Writes the state, replacing what was there at once. */
export async function writeState(folder: string, state: ClusterState): Promise<void> {
  await replaceFile(join(folder, STATE_NAME), `${JSON.stringify(state, null, 2)}\n`, undefined);
}

/**
 * Reads the state; where the file is missing but one primary's data is there (the process died
 * between the two), it is made up from that.
 *
 * @returns undefined where there is no cluster yet
 * @throws {EmbeddedError} DATA_BROKEN when the primary cannot be told
 */
export async function readState(folder: string): Promise<ClusterState | undefined> {
  let text: string;
  try {
    text = await readFile(join(folder, STATE_NAME), 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) {
      return guessState(folder);
    }
    throw error;
  }
  const state = parseState(folder, text);
  if (!(await exists(join(folder, state.primary, 'PG_VERSION')))) {
    throw new EmbeddedError(
      'DATA_BROKEN',
      `the data of the primary, ${join(folder, state.primary)}, is gone; restore it, or remove ` +
        `${folder} to start with an empty database`,
    );
  }
  return state;
}

function parseState(folder: string, text: string): ClusterState {
  try {
    const { primary, ports } = JSON.parse(text) as Partial<ClusterState>;
    if (typeof primary === 'string' && /^[a-z]$/.test(primary)) {
      return { primary, ports: ports ?? {} };
    }
  } catch {
    // Said below, with the path that JSON.parse does not know.
  }
  throw new EmbeddedError(
    'DATA_BROKEN',
    `${join(folder, STATE_NAME)} is damaged: write {"primary": "a"} with the name of the node ` +
      'that was the primary',
  );
}

async function guessState(folder: string): Promise<ClusterState | undefined> {
  const primaries: string[] = [];
  const names = await listNodeFolders(folder);
  for (const name of names) {
    if (!(await exists(join(folder, name, 'standby.signal')))) {
      primaries.push(name);
    }
  }
  const [primary, second] = primaries;
  if (second !== undefined || (primary === undefined && names.length > 0)) {
    throw new EmbeddedError(
      'DATA_BROKEN',
      `${join(folder, STATE_NAME)} is missing and ${primaries.length} of the nodes ` +
        `${names.join(', ')} are primaries: write {"primary": "a"} with the right name into it`,
    );
  }
  return primary === undefined ? undefined : { primary, ports: {} };
}

/** Lists the names of the nodes that have data, complete or not. */
export async function listNodeFolders(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return names.filter((name) => /^[a-z]$/.test(name)).sort();
}
