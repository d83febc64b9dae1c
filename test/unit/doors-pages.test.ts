// The pages of health at door 2, over a cluster that the test moves: what each says, to whom, and
// how it is asked.
import http2 from 'node:http2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../src/lib/wait.js';
import { type Doors, openDoors } from '../support/doors.js';

let doors: Doors;

beforeAll(async () => {
  doors = await openDoors();
});

afterAll(async () => {
  await doors.close();
});

async function get(path: string, method = 'GET') {
  const answer = await fetch(`${doors.httpUrl}${path}`, { method });
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
}

describe('A page of health', () => {
  it('is live, and ready while a node can be read', async () => {
    const page = (path: string) => get(path);
    doors.source.set(true, false);
    const ready = await page('/readyz');
    expect(ready.status).toBe(200);
    expect(JSON.parse(ready.text)).toEqual({ status: 'SERVING', read: true, write: false });
    doors.source.set(false, false);
    expect((await page('/readyz')).status).toBe(503);
    expect((await page('/livez')).status).toBe(200);
    doors.source.set(true, true);
    expect((await page('/healthz')).status).toBe(404);
  });

  it.each(['/health', '/health/database'])(
    'says by the status of %s that it is down',
    async (path) => {
      const page = () => get(path);
      const well = await page();
      expect(well.status).toBe(200);
      expect(JSON.parse(well.text).status).toMatch(/OK$/);
      expect(well.headers.get('content-type')).toBe('application/json');
      expect(well.headers.get('cache-control')).toBe('no-store');
      doors.source.set(true, false);
      const fits = async (status: string) =>
        JSON.parse((await page()).text).status.endsWith(status);
      await until(() => fits('DEGRADED'), { timeoutMs: 5_000, what: 'it is degraded' });
      expect((await page()).status).toBe(200);
      doors.source.set(false, false);
      await until(() => fits('DOWN'), { timeoutMs: 5_000, what: 'it is down' });
      expect((await page()).status).toBe(503);
      doors.source.set(true, true);
      await until(() => fits('OK'), { timeoutMs: 5_000, what: 'it is well again' });
    },
  );

  it('tells every number of its health, and nothing else, flat', async () => {
    const { text } = await get('/health/database/metrics');
    const { nodes, server, ...cluster } = JSON.parse(text);
    expect(cluster).toEqual({ can_read: 1, can_write: 1, errors: 0, warnings: 0 });
    expect(server).toMatchObject({ started_at: 1_772_355_600, heap_used_bytes: 1, rss_bytes: 2 });
    expect(nodes['a:1']).toMatchObject({ drained: 0, unary_pool_size_max: 14, replicas: 0 });
    for (const figure of Object.values(nodes['a:1'])) expect(typeof figure).toBe('number');
  });

  it('says that it is live however many leave their answers unread', async () => {
    const session = http2.connect(doors.httpUrl, { settings: { initialWindowSize: 0 } });
    const unread = Array.from({ length: 20 }, () => {
      const stream = session.request({ ':path': '/livez' });
      return new Promise((resolve) => {
        stream.on('response', (headers) => resolve(headers[':status']));
      });
    });
    expect(new Set(await Promise.all(unread))).toEqual(new Set([200]));
    expect((await get('/livez')).status).toBe(200);
    session.destroy();
  });

  it('shows addresses only to who has the token', async () => {
    const authToken = 'page-token-of-32-characters-okay';
    const guarded = await openDoors({ authToken });
    const ask = async (path: string, authorization = '') => {
      const answer = await fetch(`${guarded.httpUrl}${path}`, { headers: { authorization } });
      return { status: answer.status, text: await answer.text(), headers: answer.headers };
    };
    for (const path of ['/health/database', '/health/database/metrics']) {
      const refused = await ask(path, `Bearer ${authToken.replace('page', 'best')}`);
      expect(refused.status).toBe(401);
      expect(refused.headers.get('www-authenticate')).toBe('Bearer');
      expect((await ask(path)).status).toBe(401);
      expect(await ask(path, `Bearer ${authToken}`)).toMatchObject({ status: 200 });
      expect((await ask(path, `Bearer ${authToken}`)).text).toContain('a:1');
    }
    guarded.source.set(false, false);
    const glance = await ask('/health');
    expect(glance.text).toContain('NO_NODE');
    expect(JSON.parse(glance.text).nodes).toEqual([{ state: 'UNREACHABLE', drained: false }]);
    expect(glance.text).not.toMatch(/a:1|version/);
    expect((await ask('/health', `Bearer ${authToken}`)).text).toContain('a:1 does not answer');
    guarded.source.set(true, true);
    for (const path of ['/livez', '/readyz']) expect((await ask(path)).status).toBe(200);
    await guarded.close();
  });

  it.each(['/livez', '/readyz', '/health', '/health/database', '/health/database/metrics'])(
    'takes GET and HEAD for %s and nothing else',
    async (path) => {
      const head = await get(path, 'HEAD');
      expect([head.status, head.text]).toEqual([200, '']);
      const post = await get(path, 'POST');
      expect(post.status).toBe(405);
      expect(post.headers.get('allow')).toBe('GET, HEAD');
      const session = http2.connect(doors.httpUrl);
      const stream = session.request({ ':method': 'HEAD', ':path': path });
      const status = new Promise((resolve) => {
        stream.on('response', (headers) => resolve(headers[':status']));
      });
      stream.resume();
      expect(await status).toBe(200);
      session.destroy();
    },
  );
});
