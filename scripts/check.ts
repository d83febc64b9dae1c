// `npm run check`: every check that needs no database, two at a time, each with its name, time and
// verdict. The output of a passing step is dropped, that of a failing one is printed whole.
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

interface Step {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}

interface Result {
  readonly step: Step;
  readonly passed: boolean;
  readonly output: string;
  readonly durationMs: number;
}

const root = join(import.meta.dirname, '..');

// The slow ones first, so that the short ones fill the other core.
const steps: readonly Step[] = [
  { name: 'typecheck', command: ['tsc', '--noEmit', '-p', 'tsconfig.check.json'] },
  { name: 'eslint', command: ['eslint', '.'] },
  {
    name: 'tidy and lock',
    command: ['vitest', 'run', '--project', 'unit', 'test/tidy.test.ts', 'test/lock.test.ts'],
  },
  { name: 'knip', command: ['knip', '--no-progress', '--no-config-hints'] },
  { name: 'generated code', command: ['tsx', 'scripts/gen-drift.ts'] },
  { name: 'docs', command: ['tsx', 'scripts/docs.ts', '--check'] },
  { name: 'proto lint', command: ['buf', 'lint'] },
  { name: 'proto breaking', command: ['buf', 'breaking', '--against', 'proto/baseline.binpb'] },
  { name: 'biome', command: ['biome', 'check', '.'] },
];

function run(step: Step): Promise<Result> {
  const startedAt = performance.now();
  const [program, ...args] = step.command;
  const child = spawn(join(root, 'node_modules', '.bin', program), args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: process.platform === 'win32',
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve) => {
    const finish = (passed: boolean, extra = ''): void => {
      const durationMs = performance.now() - startedAt;
      resolve({ step, passed, output: Buffer.concat(chunks).toString() + extra, durationMs });
    };
    child.once('error', (error) => finish(false, `${error.message}\n`));
    child.once('close', (code) => finish(code === 0));
  });
}

function print(result: Result): void {
  const seconds = (result.durationMs / 1000).toFixed(1).padStart(5);
  console.log(`${result.passed ? 'pass' : 'FAIL'} ${seconds} s  ${result.step.name}`);
  if (!result.passed) console.log(result.output.trimEnd());
}

async function worker(queue: Step[], results: Result[]): Promise<void> {
  for (let step = queue.shift(); step !== undefined; step = queue.shift()) {
    const result = await run(step);
    results.push(result);
    print(result);
  }
}

const startedAt = performance.now();
const queue = [...steps];
const results: Result[] = [];
const workers = Math.max(2, Math.min(4, availableParallelism()));
await Promise.all(Array.from({ length: workers }, () => worker(queue, results)));

const failed = results.filter((result) => !result.passed).map((result) => result.step.name);
const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
console.log(
  `check: ${results.length - failed.length} passed, ${failed.length} failed in ${seconds} s` +
    (failed.length > 0 ? ` (${failed.join(', ')})` : ''),
);
if (failed.length > 0) process.exitCode = 1;
