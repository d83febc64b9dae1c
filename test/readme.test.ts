// The README's own commands, run as they stand but for the ports.
import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blocksOf } from './support/markdown-blocks.js';
import { type DevServer, startDev } from './support/program.js';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');
const blocks = blocksOf('README.md');
const shell = blocks.filter(({ language }) => language === 'sh').map(({ text }) => text);
const typescript = blocks.filter(({ language }) => language === 'ts').map(({ text }) => text);

describe('README', () => {
  let server: DevServer;

  beforeAll(async () => {
    server = await startDev();
  }, 120_000);

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  /** The text with this server's ports, as a user on a machine with taken ports would write it. */
  const here = (text: string) =>
    text.replaceAll('127.0.0.1:8080', server.http).replaceAll('127.0.0.1:50051', server.grpc);

  async function sh(text: string): Promise<string> {
    const env = { ...process.env, STOWAGE_SERVER: server.grpc };
    const { stdout } = await run('bash', ['-euc', here(text)], { cwd: root, env });
    return stdout;
  }

  it('has the blocks that are run here', () => {
    expect(shell.filter((text) => text.includes('curl'))).toHaveLength(3);
    expect(shell.filter((text) => text.includes('stowage scan'))).toHaveLength(1);
    expect(shell.filter((text) => text.includes('stowage ls'))).toHaveLength(1);
    expect(shell.filter((text) => text.includes('stowage versions'))).toHaveLength(1);
    expect(shell.filter((text) => text.includes('stowage admin'))).toHaveLength(1);
    expect(typescript).toHaveLength(1);
  });

  it('records, reads and lists with curl', async () => {
    const [record = '', get = '', list = ''] = shell.filter((text) => text.includes('curl'));
    const recorded = JSON.parse(await sh(record));
    expect(recorded.outcome).toBe('RECORD_OUTCOME_CREATED');
    const read = JSON.parse(await sh(get));
    expect(read.object).toEqual(recorded.object);
    expect(read.object.metadata).toEqual({ owner: 'ACME Corp', doc_type: 'Invoice' });
    const listed = JSON.parse(await sh(list));
    expect(listed.objects).toContainEqual(recorded.object);
    expect(JSON.parse(await sh(record)).outcome).toBe('RECORD_OUTCOME_UNCHANGED');
  });

  it('scans a directory', async () => {
    const [scan = ''] = shell.filter((text) => text.includes('stowage scan'));
    expect(await sh(scan)).toMatch(/added/);
    expect(await sh(scan)).toMatch(/unchanged/);
  });

  it('looks around in what was scanned', async () => {
    const [look = ''] = shell.filter((text) => text.includes('stowage ls'));
    const output = await sh(look);
    expect(output).toMatch(/ docs\/decisions\/\n/);
    expect(output).toMatch(/ docs\/search\.md\n/);
    expect(output).toMatch(/^[\d.]+ .*docs\/decisions\/0032-install\.md/m);
    expect(output).toMatch(/^total +\d\d /m);
  });

  it('tells what was there before, and who did what', async () => {
    const [ask = ''] = shell.filter((text) => text.includes('stowage versions'));
    const output = await sh(ask);
    expect(output).toMatch(/ latest .*d8e8fca2dc0f896f/);
    expect(output).toMatch(/RECORD_OBJECT/);
  });

  it('tells how it is', async () => {
    const [ask = ''] = shell.filter((text) => text.includes('stowage admin'));
    const output = await sh(ask);
    expect(output).toMatch(/\bprimary\b/i);
    expect(output).toMatch(/^storage_objects /m);
  });

  it('records and streams with the TypeScript client', async () => {
    // Inside the package, so that `stowage/client` is found as an installed package would be.
    const folder = join(root, '.cache', 'readme');
    const file = join(folder, 'client.ts');
    await mkdir(folder, { recursive: true });
    try {
      await writeFile(file, here(typescript[0] ?? ''));
      const tsx = join(root, 'node_modules', '.bin', 'tsx');
      const { stdout } = await run(tsx, [file], { cwd: root });
      expect(stdout).toBe('photos/cat.jpg is at revision 1\n1 of 1 objects streamed\n');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
