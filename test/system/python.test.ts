// The README's Python client against a running server. Needs python3 with venv, and PyPI.
import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blocksOf } from '../support/markdown-blocks.js';
import { type DevServer, mainFile, startDev } from '../support/program.js';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');
const blocks = blocksOf('README.md');

describe('the Python client', () => {
  let server: DevServer;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'stowage-python-'));
    server = await startDev();
    await run('python3', ['-m', 'venv', join(folder, 'venv')]);
    const pip = join(folder, 'venv', 'bin', 'pip');
    await run(pip, ['install', '--quiet', 'grpcio', 'grpcio-tools']);
    await cp(join(root, 'proto'), join(folder, 'proto'), { recursive: true });
  }, 240_000);

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  it('reads what a scan recorded', async () => {
    await run(process.execPath, [mainFile, 'scan', 'docs', '--prefix', 'docs/'], {
      cwd: root,
      env: { ...process.env, STOWAGE_SERVER: server.grpc },
    });
    const path = `${join(folder, 'venv', 'bin')}:${process.env.PATH}`;
    const env = { ...process.env, PATH: path };
    const generate = blocks.find(({ text }) => text.includes('grpc_tools.protoc'))?.text ?? '';
    await run('bash', ['-euc', generate], { cwd: folder, env });
    const program = blocks.find(({ language }) => language === 'python')?.text ?? '';
    const file = join(folder, 'client.py');
    await writeFile(file, program.replace('127.0.0.1:50051', server.grpc));
    const { stdout } = await run('python3', [file], { cwd: folder, env });
    expect(stdout).toMatch(/^docs\/config\.md \d+$/m);
    expect(stdout).toMatch(/^docs\/decisions\/\S+ \d+$/m);
  });
});
