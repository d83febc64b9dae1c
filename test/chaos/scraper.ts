/**
 * A monitor beside the workload: scrapes every server and asks for its pages all along. Whatever
 * fails behind a server that serves, none of that may.
 */

import { pause } from '../../src/lib/wait.js';
import { scrape } from '../support/prometheus-text.js';
import type { Recorder } from './recorder.js';
import type { ServerProcess } from './server-process.js';

const INTERVAL_MS = 250;

/** What a loaded machine may make of the 200 ms that a page takes at most. */
const ANSWER_MS_MAX = 3_000;

/** What is not there by then never comes, and would keep the run from its end. */
const GIVE_UP_MS = 20_000;

/** Pages with what they may answer. */
const PAGES: ReadonlyMap<string, readonly number[]> = new Map([
  ['/livez', [200]],
  ['/readyz', [200, 503]],
  ['/health', [200, 503]],
  ['/health/database', [200, 503]],
]);

/** Scrapes a run's servers. */
export class Scraper {
  readonly #servers: readonly ServerProcess[];
  readonly #recorder: Recorder;
  /** Scrapes that were answered. */
  count = 0;
  /** The longest that one took. */
  slowestMs = 0;

  constructor(servers: readonly ServerProcess[], recorder: Recorder) {
    this.#servers = servers;
    this.#recorder = recorder;
  }

  /** Scrapes until the signal aborts. */
  async watch(stopping: AbortSignal): Promise<void> {
    await Promise.all(this.#servers.map((server) => this.#watchOne(server, stopping)));
  }

  async #watchOne(server: ServerProcess, stopping: AbortSignal): Promise<void> {
    while (!stopping.aborted) {
      const startMs = performance.now();
      const failure = await this.#ask(server).then(
        () => undefined,
        (error: unknown) => String(error),
      );
      const tookMs = performance.now() - startMs;
      if (!server.isDownSince(startMs)) this.#judge(server.name, failure, tookMs);
      await pause(INTERVAL_MS);
    }
  }

  #judge(server: string, failure: string | undefined, tookMs: number): void {
    const rule = 'every scrape and page is answered';
    if (failure === undefined) this.count += 1;
    else this.#recorder.finding(rule, `${server}: ${failure}`);
    this.slowestMs = Math.max(this.slowestMs, tookMs);
    if (tookMs > ANSWER_MS_MAX) this.#recorder.finding(rule, `${server} took ${tookMs} ms`);
  }

  async #ask({ httpUrl }: ServerProcess): Promise<void> {
    const figures = scrape(httpUrl);
    const pages = [...PAGES].map(async ([path, statuses]) => {
      const { status } = await fetch(`${httpUrl}${path}`, {
        signal: AbortSignal.timeout(GIVE_UP_MS),
      });
      if (!statuses.includes(status)) throw new Error(`${path} answers ${status}`);
    });
    await Promise.all([figures, ...pages]);
  }
}
