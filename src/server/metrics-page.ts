/**
 * `/metrics` of door 2: the figures for Prometheus. Bounded in what scrapes can cost: some at a
 * time, each for as long as Prometheus waits for one.
 */

import type { ServerResponse } from 'node:http';
import type { Http2ServerResponse } from 'node:http2';
import type { Metrics } from '../telemetry/metrics.js';
import { type BearerCheck, bearerCheck } from './bearer.js';

type Response = ServerResponse | Http2ServerResponse;

const scrapesMax = 10;
/** How long a scraper may take to read its answer. */
const readTimeoutMs = 10_000;

/** Answers scrapes. */
export class MetricsPage {
  readonly #metrics: Metrics;
  readonly #isBearer: BearerCheck;
  #scrapes = 0;

  /** @param authToken what a scraper must show; undefined: nothing. */
  constructor(metrics: Metrics, authToken: string | undefined) {
    this.#metrics = metrics;
    this.#isBearer = bearerCheck(authToken);
  }

  /** Answers one scrape. Never rejects. */
  async serve(authorization: string | undefined, response: Response): Promise<void> {
    if (!this.#isBearer(authorization)) {
      refuse(response, 401, { 'www-authenticate': 'Bearer' }, 'the auth token is wanted as Bearer');
      return;
    }
    if (this.#scrapes >= scrapesMax) {
      refuse(response, 503, { 'retry-after': '1' }, `${scrapesMax} scrapes are being answered`);
      return;
    }
    this.#scrapes += 1;
    const timer = setTimeout(() => response.destroy(), readTimeoutMs);
    response.once('close', () => {
      clearTimeout(timer);
      this.#scrapes -= 1;
    });
    try {
      const text = await this.#metrics.text();
      response.writeHead(200, {
        'content-type': 'text/plain; version=0.0.4; charset=utf-8',
        'cache-control': 'no-store',
      });
      response.end(text);
    } catch {
      response.destroy();
    }
  }
}

function refuse(
  response: Response,
  status: number,
  headers: Readonly<Record<string, string>>,
  sentence: string,
): void {
  response.writeHead(status, { ...headers, 'content-type': 'text/plain; charset=utf-8' });
  response.end(`${sentence}\n`);
}
