/** A collector of OTLP in this process, which can be down, and which can fall silent. */

import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { until } from '../../src/lib/wait.js';

/** A metric as OTLP over HTTP with JSON has it; what tests read of it. */
interface OtlpMetric {
  readonly name: string;
  readonly unit: string;
  readonly sum?: { readonly aggregationTemporality: number };
  readonly histogram?: { readonly aggregationTemporality: number };
}

interface OtlpAttribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string };
}

/** One push. */
interface Push {
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly resource: ReadonlyMap<string, string | undefined>;
  readonly metrics: readonly OtlpMetric[];
}

/** A collector. */
export interface Collector extends AsyncDisposable {
  readonly url: string;
  readonly pushes: readonly Push[];
  /** Takes connections and answers nothing. */
  isSilent: boolean;
  /** Resolves at the next push that is told whole. */
  nextPush(): Promise<Push>;
  down(): Promise<void>;
  /** At the same address. */
  up(): Promise<void>;
}

/** Opens a collector on a free port. */
export async function openCollector(): Promise<Collector> {
  const pushes: Push[] = [];
  const sockets = new Set<Socket>();
  const server = http.createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (collector.isSilent) return;
    pushes.push(pushOf(request, JSON.parse(Buffer.concat(chunks).toString())));
    response.setHeader('content-type', 'application/json').end('{}');
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const listen = (port: number) =>
    new Promise<void>((resolve) => {
      server.listen(port, '127.0.0.1', resolve);
    });
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const down = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
  const collector: Collector = {
    url: `http://127.0.0.1:${port}`,
    pushes,
    isSilent: false,
    nextPush: async () => {
      const { length } = pushes;
      return until(() => pushes[length], { timeoutMs: 10_000, what: 'a push has come' });
    },
    down,
    up: () => listen(port),
    [Symbol.asyncDispose]: down,
  };
  return collector;
}

interface OtlpBody {
  readonly resourceMetrics: readonly {
    readonly resource: { readonly attributes: readonly OtlpAttribute[] };
    readonly scopeMetrics: readonly { readonly metrics: readonly OtlpMetric[] }[];
  }[];
}

function pushOf(request: http.IncomingMessage, { resourceMetrics }: OtlpBody): Push {
  const attributes = resourceMetrics.flatMap(({ resource }) => resource.attributes);
  return {
    path: request.url ?? '',
    headers: request.headers,
    resource: new Map(attributes.map(({ key, value }) => [key, value.stringValue])),
    metrics: resourceMetrics.flatMap(({ scopeMetrics }) =>
      scopeMetrics.flatMap(({ metrics }) => metrics),
    ),
  };
}
