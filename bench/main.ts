/**
 * `npm run bench`: runs lanes, prints a table, writes JSON. It measures and judges; a goal that is
 * missed is a line of the table, not a failure of the run.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { formatTable } from './frame/format.js';
import { judge, type RowResult } from './frame/judge.js';
import type { Lane } from './frame/lane.js';
import { describeMachine, describeVersions } from './frame/machine.js';
import { type BenchOptions, parseOptions, UsageError, usage } from './frame/options.js';
import { runInTurns } from './frame/run-lane.js';
import { lanes } from './lanes/index.js';
import { Rig } from './rig/rig.js';
import { SharedDatabases } from './rig/shared-databases.js';

/** Where neither the arguments nor the lane say. */
const REPETITIONS_DEFAULT = 5;

const root = join(import.meta.dirname, '..');

async function runLane(
  lane: Lane,
  options: BenchOptions,
  { signal, shared }: { readonly signal: AbortSignal; readonly shared: SharedDatabases },
): Promise<RowResult[]> {
  const begun = performance.now();
  const onProgress = (step: string) => {
    const seconds = ((performance.now() - begun) / 1000).toFixed(0).padStart(3);
    console.error(`${lane.name} ${seconds} s  ${step}`);
  };
  const { standbys, profile } = options;
  const rows = options.rows ?? lane.rowsDefault;
  const count = options.repetitions ?? lane.repetitionsDefault ?? REPETITIONS_DEFAULT;
  const rig = new Rig({ rows, standbys, profile, onProgress, shared });
  try {
    const subjects = await lane.setup(rig);
    const samples = await runInTurns(subjects, { count, onProgress, signal });
    return lane.rows.map((row) => judge(lane.name, row, samples));
  } finally {
    await rig.close();
  }
}

/** What the compiler says goes to the standard error: the other one is the table's. */
async function build(): Promise<void> {
  console.error('building the program');
  const { stderr } = process;
  const child = spawn('npm', ['run', '--silent', 'build'], {
    cwd: root,
    stdio: ['ignore', stderr, stderr],
  });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error('the program does not build');
}

async function run(options: BenchOptions): Promise<void> {
  const interrupted = new AbortController();
  process.once('SIGINT', () => interrupted.abort(new Error('interrupted')));
  const machine = describeMachine();
  const versions = await describeVersions();
  await build();
  if (options.profile !== undefined) await mkdir(options.profile, { recursive: true });
  const rows: RowResult[] = [];
  const shared = new SharedDatabases();
  try {
    for (const lane of lanes.filter(({ name }) => options.lanes.includes(name))) {
      rows.push(...(await runLane(lane, options, { signal: interrupted.signal, shared })));
    }
  } finally {
    await shared.close();
  }
  const { standbys } = options;
  const { cpu, cores, loadAverage } = machine;
  console.log(`${cores} cores (${cpu}), load ${loadAverage}, ${standbys} standbys`);
  console.log(`Node ${versions['node']}, ${versions['commit']}\n`);
  console.log(formatTable(rows));
  if (options.json !== undefined) {
    const result = { machine, versions, standbys, lanes: rows };
    await writeFile(resolve(options.json), `${JSON.stringify(result, undefined, 2)}\n`);
  }
}

try {
  const names = lanes.map(({ name }) => name);
  await run(parseOptions(process.argv.slice(2), names));
} catch (error) {
  if (error instanceof UsageError) console.error(`${error.message}\n\n${usage}`);
  else console.error(error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
