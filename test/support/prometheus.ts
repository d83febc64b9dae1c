/** The real Prometheus, and its promtool. Needs Debian's package prometheus. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from '../../src/lib/wait.js';
import { freePort } from './free-port.js';

const folder = join(import.meta.dirname, '..', '..', 'deploy', 'prometheus');

/** How often it looks, and how long one look may take: long enough for a machine that is busy. */
const often = '1s';

/** One series of an answer, with its last value. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A rule as Prometheus has read it. */
export interface Rule {
  readonly name: string;
  readonly query: string;
  /** In seconds. */
  readonly duration: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** `ok` once it has been evaluated. */
  readonly health: string;
  readonly lastError?: string;
  readonly state: string;
}

/** What it knows of the server that it scrapes. */
export interface Target {
  readonly health: string;
  readonly lastError: string;
}

/** A running Prometheus. */
export interface Prometheus extends AsyncDisposable {
  /** @throws Error what it says of a query that it does not understand */
  query(expression: string): Promise<Sample[]>;
  rules(): Promise<Rule[]>;
  target(): Promise<Target>;
}

/** What promtool found: its words, and whether it is content. */
export interface Verdict {
  readonly isGood: boolean;
  readonly said: string;
}

/** Runs promtool in deploy/prometheus. @throws Error where it is not installed */
export async function promtool(args: readonly string[], cwd = folder): Promise<Verdict> {
  try {
    const { stdout, stderr } = await promisify(execFile)('promtool', [...args], { cwd });
    return { isGood: true, said: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: unknown; stdout: string; stderr: string };
    if (code === 'ENOENT') throw new Error('there is no promtool; run: apt install prometheus');
    return { isGood: false, said: stdout + stderr };
  }
}

/** Whether promtool reads each of the expressions. */
export async function checkExpressions(expressions: readonly string[]): Promise<Verdict> {
  const own = await mkdtemp(join(tmpdir(), 'stowage-promtool-'));
  const rules = expressions.map((expr, at) => ({ record: `expression:${at}`, expr }));
  // JSON is YAML.
  await writeFile(join(own, 'rules.yml'), JSON.stringify({ groups: [{ name: 'all', rules }] }));
  const verdict = await promtool(['check', 'rules', 'rules.yml'], own);
  await rm(own, { recursive: true, force: true });
  return verdict;
}

/**
 * Starts one on deploy/prometheus/prometheus.yml and its rules, with this machine's values instead
 * of its examples, and resolves once it has scraped.
 * @param target `host:port` of the HTTP door.
 */
export async function startPrometheus(target: string, tokenFile: string): Promise<Prometheus> {
  const own = await mkdtemp(join(tmpdir(), 'stowage-prometheus-'));
  const port = await freePort();
  const settings = join(own, 'prometheus.yml');
  await writeFile(settings, await configuration(target, tokenFile));
  await copyFile(join(folder, 'stowage.rules.yml'), join(own, 'stowage.rules.yml'));
  const child = spawn(
    'prometheus',
    [
      `--config.file=${settings}`,
      `--storage.tsdb.path=${join(own, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ],
    { cwd: own, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-20_000);
  });
  const failed = once(child, 'error').then(([error]) => {
    throw new Error('there is no Prometheus; run: apt install prometheus', { cause: error });
  });
  const prometheus = new RunningPrometheus(`http://127.0.0.1:${port}`, async () => {
    await end(child);
    await rm(own, { recursive: true, force: true });
  });
  const hasScraped = async () => {
    if (child.exitCode !== null) throw new Error(`Prometheus ended: ${said}`);
    return prometheus.query('scrape_samples_scraped > 0').then(
      (samples) => samples.length > 0,
      () => false,
    );
  };
  try {
    const ready = until(hasScraped, { timeoutMs: 30_000, pollMs: 50, what: 'it has scraped' });
    await Promise.race([ready, failed]);
  } catch (error) {
    await prometheus[Symbol.asyncDispose]();
    throw error;
  }
  return prometheus;
}

async function configuration(target: string, tokenFile: string): Promise<string> {
  const text = await readFile(join(folder, 'prometheus.yml'), 'utf8');
  return text
    .replace(/scrape_interval: .*/, `scrape_interval: ${often}`)
    .replace(/scrape_timeout: .*/, `scrape_timeout: ${often}`)
    .replace(/evaluation_interval: .*/, `evaluation_interval: ${often}`)
    .replace(/credentials_file: .*/, `credentials_file: ${tokenFile}`)
    .replace(/^( +)- targets:\n(?: +- .*\n)+/m, `$1- targets: ['${target}']\n`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

class RunningPrometheus implements Prometheus {
  readonly #url: string;
  readonly #stop: () => Promise<void>;

  constructor(url: string, stop: () => Promise<void>) {
    this.#url = url;
    this.#stop = stop;
  }

  async query(expression: string): Promise<Sample[]> {
    const { result } = await this.#ask<{ result: RawSample[] }>(
      `query?${new URLSearchParams({ query: expression })}`,
    );
    return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }

  async rules(): Promise<Rule[]> {
    const { groups } = await this.#ask<{ groups: { rules: Rule[] }[] }>('rules');
    return groups.flatMap(({ rules }) => rules);
  }

  async target(): Promise<Target> {
    const { activeTargets } = await this.#ask<{ activeTargets: Target[] }>('targets');
    const [target] = activeTargets;
    if (target === undefined) throw new Error('Prometheus has no target');
    return target;
  }

  async #ask<Data>(path: string): Promise<Data> {
    const response = await fetch(`${this.#url}/api/v1/${path}`);
    const answer = (await response.json()) as { status: string; error?: string; data: Data };
    if (answer.status !== 'success') throw new Error(`Prometheus says: ${answer.error}`);
    return answer.data;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stop();
  }
}

interface RawSample {
  readonly metric: Readonly<Record<string, string>>;
  /** Time in seconds, and the value as text. */
  readonly value: readonly [number, string];
}
