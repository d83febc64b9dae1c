// Generates the TypeScript of the protos into a folder of its own and compares it with gen/: the
// check that what is committed is what the protos say. The tree itself is not touched.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

const root = join(import.meta.dirname, '..');

async function readTree(folder: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  if (!existsSync(folder)) return files;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files.set(relative(folder, path), await readFile(path, 'utf8'));
  }
  return files;
}

function generateInto(folder: string): void {
  const buf = join(root, 'node_modules', '.bin', 'buf');
  const { status, error } = spawnSync(buf, ['generate', '--output', folder], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`buf generate ended with ${status}`);
}

function differences(committed: Map<string, string>, fresh: Map<string, string>): string[] {
  const paths = [...new Set([...committed.keys(), ...fresh.keys()])].sort();
  return paths.flatMap((path) => {
    if (!fresh.has(path)) return [`gen/${path}: no proto makes it`];
    if (!committed.has(path)) return [`gen/${path}: missing`];
    return committed.get(path) === fresh.get(path) ? [] : [`gen/${path}: differs`];
  });
}

const folder = await mkdtemp(join(tmpdir(), 'stowage-gen-'));
try {
  generateInto(folder);
  const [committed, fresh] = await Promise.all([
    readTree(join(root, 'gen')),
    readTree(join(folder, 'gen')),
  ]);
  const found = differences(committed, fresh);
  for (const line of found) console.error(line);
  if (found.length > 0) {
    console.error('gen/ is not what the protos say: run `npm run gen` and commit the result.');
    process.exitCode = 1;
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
