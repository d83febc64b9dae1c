// `npm run build`: compiles src and gen into dist, incrementally, and adds what tsc leaves out: the
// SQL of the migrations and the executable bit of the command. Removes what has lost its source.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, readdir, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const migrations = join('src', 'postgres', 'migrations');
const command = join(dist, 'src', 'main.js');

/** The source that a file below dist was made from, relative to the root; undefined for others. */
function sourceOf(output: string): string | undefined {
  const path = relative(dist, output);
  if (path.endsWith('.sql')) return path;
  const match = /^(.*)\.(?:d\.ts|js|js\.map)$/.exec(path);
  return match ? `${match[1]}.ts` : undefined;
}

/** Else a renamed migration would be found twice, and a deleted module could be imported. */
async function removeOrphans(): Promise<void> {
  if (!existsSync(dist)) return;
  for (const entry of await readdir(dist, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const output = join(entry.parentPath, entry.name);
    const source = sourceOf(output);
    if (source !== undefined && !existsSync(join(root, source))) await rm(output);
  }
}

async function copyMigrations(): Promise<void> {
  const from = join(root, migrations);
  if (!existsSync(from)) return;
  await mkdir(join(dist, migrations), { recursive: true });
  for (const name of await readdir(from)) {
    if (name.endsWith('.sql')) await copyFile(join(from, name), join(dist, migrations, name));
  }
}

const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
const compiled = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.json'], {
  cwd: root,
  stdio: 'inherit',
});
if (compiled.status !== 0) process.exit(compiled.status ?? 1);
await removeOrphans();
await copyMigrations();
if (existsSync(command)) await chmod(command, 0o755);
