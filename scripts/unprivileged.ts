/**
 * `npm run test:unprivileged`: runs test/unprivileged/steps.ts as an ordinary user. Root runs it as
 * `nobody`, from a copy of the checkout that this user may read.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Account, accountToDropTo } from '../src/embedded/account.js';
import { nativeFolderForTests } from '../test/support/postgres-version.js';
import { copyForEverybody } from '../test/unprivileged/shared-copy.js';

const COPIED = ['package.json', 'tsconfig.json', 'gen', 'src', 'test', 'node_modules'];

/** The Node that runs this, or a copy of it where a version manager keeps it in root's home. */
async function shareNode(shared: string): Promise<string> {
  for (let folder = dirname(process.execPath); ; folder = dirname(folder)) {
    if (((await stat(folder)).mode & 0o001) === 0) {
      const copy = join(shared, 'node');
      await copyForEverybody(process.execPath, copy, () => false);
      return copy;
    }
    if (folder === dirname(folder)) {
      return process.execPath;
    }
  }
}

async function runSteps(
  node: string,
  root: string,
  account: Account | undefined,
  home: string | undefined,
): Promise<void> {
  const steps = join(root, 'test', 'unprivileged', 'steps.ts');
  const child = spawn(node, ['--import', 'tsx', steps], {
    cwd: root,
    stdio: 'inherit',
    ...(home !== undefined && {
      env: { ...process.env, HOME: home, TMPDIR: home },
    }),
    ...(account !== undefined && { uid: account.uid, gid: account.gid }),
  });
  const [code] = await once(child, 'exit');
  process.exitCode = code === 0 ? 0 : 1;
}

const checkout = fileURLToPath(new URL('..', import.meta.url));
const account = accountToDropTo();
if (account === undefined) {
  await runSteps(process.execPath, checkout, undefined, undefined);
} else {
  // Whatever version is asked for is fetched before the copy, which its reader cannot write.
  await nativeFolderForTests();
  const shared = await mkdtemp(join(tmpdir(), 'stowage-unprivileged-'));
  try {
    await chmod(shared, 0o755);
    const home = join(shared, 'home');
    await mkdir(home, { mode: 0o700 });
    await chown(home, account.uid, account.gid);
    for (const name of COPIED) {
      await copyForEverybody(join(checkout, name), join(shared, name), (entry) => entry === '.bin');
    }
    await runSteps(await shareNode(shared), shared, account, home);
  } finally {
    await rm(shared, { recursive: true, force: true });
  }
}
