// The page that tells metrics, over a real listener: what pages may cost.
import net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config.js';
import { deferred } from '../../src/lib/deferred.js';
import { until } from '../../src/lib/wait.js';
import { type ConnectDoor, openConnectDoor } from '../../src/server/connect.js';
import { metricsPages, servePages } from '../../src/server/pages.js';
import { Pipeline } from '../../src/server/pipeline.js';
import { type CallEnded, onCallEnded } from '../../src/telemetry/events.js';

const open = new Set<ConnectDoor>();

afterEach(async () => {
  await Promise.all([...open].map((door) => door.close(0)));
  open.clear();
});

/** A page whose figures come when the test lets them. */
async function openPage(text: () => Promise<string>) {
  const { server } = parseConfig({ STOWAGE_HTTP_ADDRESS: '127.0.0.1:0' });
  const pages = servePages(metricsPages({ text }), undefined);
  const door = await openConnectDoor(server, [], new Pipeline(server), pages);
  open.add(door);
  return `http://127.0.0.1:${door.address.port}/metrics`;
}

/** Whether no place is left; an answer that does not come has one. */
async function isFull(url: string): Promise<boolean> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(200) }).catch(() => undefined);
  return answer?.status === 429;
}

const untilFree = (url: string) =>
  until(async () => !(await isFull(url)), { timeoutMs: 5_000, what: 'a place is free' });

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
    expect(refused.status).toBe(429);
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
    await until(() => isFull(url), { timeoutMs: 5_000, what: 'no place is left' });
    leaving.abort();
    await Promise.allSettled(scrapes);
    await untilFree(url);
  });

  it('gives back the places of one that asked for many answers ahead, and has gone', async () => {
    const never = deferred<string>();
    let asked = 0;
    const url = await openPage(() => {
      asked += 1;
      return never.promise;
    });
    const { port } = new URL(url);
    const socket = net.connect(Number(port), '127.0.0.1');
    socket.write('GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n'.repeat(10));
    await until(() => asked === 10, { timeoutMs: 5_000, what: 'ten scrapes have come' });
    expect(await isFull(url)).toBe(true);
    socket.destroy();
    await untilFree(url);
    const others = Array.from({ length: 9 }, () => isFull(url));
    expect(await Promise.all(others)).not.toContain(true);
  });

  it('tells figures that cannot be had as a defect, with its cause for the log', async () => {
    const url = await openPage(() => Promise.reject(new Error('a defect')));
    const ended: CallEnded[] = [];
    const stop = onCallEnded((event) => ended.push(event));
    const answer = await fetch(url);
    stop();
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain('a defect');
    expect(ended).toMatchObject([{ reason: 'INTERNAL', cause: { message: 'a defect' } }]);
  });
});
