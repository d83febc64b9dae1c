// The systemd unit, as systemd reads it. Needs systemd.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const unit = join(import.meta.dirname, '..', '..', 'deploy', 'systemd', 'stowage.service');

/** What systemd-analyze says. @throws Error where it is not installed, or finds the unit wrong */
async function analyze(...args: string[]): Promise<string> {
  const run = promisify(execFile)('systemd-analyze', args);
  const { stdout, stderr } = await run.catch((error: unknown) => {
    if ((error as { code: unknown }).code !== 'ENOENT') throw error;
    throw new Error('there is no systemd-analyze; run: apt install systemd', { cause: error });
  });
  return stdout + stderr;
}

it('has nothing that systemd does not know', async () => {
  expect(await analyze('verify', unit)).toBe('');
});

it('leaves the service hardly anything that it could harm', async () => {
  const said = await analyze('security', '--offline=true', '--no-pager', unit);
  const [, exposure] = /Overall exposure level for \S+: ([\d.]+)/.exec(said) ?? [];
  expect(Number(exposure)).toBeLessThanOrEqual(2);
});
