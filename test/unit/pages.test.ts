// The page that tells metrics, over a real listener: what pages may cost.
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { deferred } from '../../src/lib/deferred.js';
import { until } from '../../src/lib/wait.js';
import { metricsPages, servePages } from '../../src/server/pages.js';

const open = new Set<http.Server>();

afterEach(() => {
  for (const server of open) {
    server.closeAllConnections();
    server.close();
  }
  open.clear();
});

/** A page whose figures come when the test lets them. */
async function openPage(text: () => Promise<string>) {
  const serve = servePages(metricsPages({ text }), undefined);
  const server = http.createServer(({ url: path = '', method = '' }, response) => {
    const onGone = (listener: () => void) => response.once('close', listener);
    const answer = Promise.resolve(serve({ path, method, authorization: undefined, onGone }));
    answer.then(
      (page) => response.writeHead(page?.status ?? 404, page?.headers).end(page?.text),
      () => response.destroy(),
    );
  });
  open.add(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`;
}

describe('The page of metrics', () => {
  it('answers ten scrapes at a time, sends others away, and takes more later', async () => {
    const figures = deferred<string>();
    let asked = 0;
    const url = await openPage(() => {
      asked += 1;
      return figures.promise;
    });
    const scrapes = Array.from({ length: 10 }, async () => (await fetch(url)).text());
    await until(() => asked === 10, { timeoutMs: 5_000, what: 'ten scrapes have come' });
    const refused = await fetch(url);
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('1');
    figures.resolve('figures\n');
    expect(new Set(await Promise.all(scrapes))).toEqual(new Set(['figures\n']));
    const isFree = async () => (await fetch(url)).status === 200;
    await until(isFree, { timeoutMs: 5_000, what: 'a scrape is answered again' });
  });

  it('gives back the place of a scraper that has gone', async () => {
    const never = deferred<string>();
    const url = await openPage(() => never.promise);
    const leaving = new AbortController();
    const scrapes = Array.from({ length: 10 }, () => fetch(url, { signal: leaving.signal }));
    const isFull = async () => {
      const waiting = AbortSignal.timeout(200);
      const answer = await fetch(url, { signal: waiting }).catch(() => undefined);
      return answer?.status === 503;
    };
    await until(isFull, { timeoutMs: 5_000, what: 'no place is left' });
    leaving.abort();
    await Promise.allSettled(scrapes);
    const isFree = async () => !(await isFull());
    await until(isFree, { timeoutMs: 5_000, what: 'a place is free' });
  });

  it('ends the answer of figures that cannot be told', async () => {
    const url = await openPage(() => Promise.reject(new Error('a defect')));
    await expect(fetch(url)).rejects.toThrow();
  });
});
