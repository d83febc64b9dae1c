/**
 * Pages for people, load balancers and scripts, beside the services of door 2. None passes the
 * pipeline: they answer while it admits nobody, and while every connection is in use.
 */

import { create, toJson } from '@bufbuild/protobuf';
import { HealthReportSchema } from '../../gen/stowage/v1/health_pb.js';
import { healthMessage } from '../services/health-messages.js';
import type { HealthReport } from '../store/health/report.js';
import type { HealthReporter } from '../store/health/reporter.js';
import type { Metrics } from '../telemetry/metrics.js';
import { bearerCheck } from './bearer.js';
import { figuresOf } from './figures.js';
import type { Health } from './health.js';

/** What a page says. */
export interface PageAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One page. */
export interface Page {
  /** Whether only who has the token is shown it, where one is set. */
  readonly isGuarded: boolean;
  /** @param isTrusted the caller has the token, or none is set. */
  show(isTrusted: boolean): PageAnswer | Promise<PageAnswer>;
}

/** Pages by their paths. */
export type Pages = Readonly<Record<string, Page>>;

/** A request for what may be a page. */
export interface PageRequest {
  readonly path: string;
  readonly method: string;
  readonly authorization: string | undefined;
  /** Calls the listener once the answer has left, or its caller has. */
  onGone(listener: () => void): void;
}

/** Finds out what a request for a page is answered; undefined: there is no such page. */
export type PageServer = (request: PageRequest) => PageAnswer | Promise<PageAnswer> | undefined;

/** Answers of one page at a time that have not left: what readers who do not read may cost. */
const answersMax = 10;

/** Serves pages to whoever may see them. */
export function servePages(pages: Pages, token: string | undefined): PageServer {
  const isBearer = bearerCheck(token);
  const answering = new Map<string, number>();
  return ({ path, method, authorization, onGone }) => {
    const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
    if (page === undefined) return undefined;
    if (method !== 'GET' && method !== 'HEAD') return notAllowed(method);
    const isTrusted = isBearer(authorization);
    // These cost little, and a stranger who does not read his answer must not make them say 503:
    // a supervisor would end a server that is well.
    if (!page.isGuarded) return page.show(isTrusted);
    if (!isTrusted) return unauthenticated();
    const others = answering.get(path) ?? 0;
    if (others >= answersMax) return crowded();
    answering.set(path, others + 1);
    onGone(() => answering.set(path, (answering.get(path) ?? 1) - 1));
    return page.show(isTrusted);
  };
}

/** The page of metrics. */
export function metricsPages(metrics: Pick<Metrics, 'text'>): Pages {
  const contentType = 'text/plain; version=0.0.4; charset=utf-8';
  const show = async () => ({ status: 200, contentType, text: await metrics.text() });
  return { '/metrics': { isGuarded: true, show } };
}

/** The pages of health. */
export function healthPages(health: Health, reporter: HealthReporter): Pages {
  return {
    '/livez': { isGuarded: false, show: () => jsonPage(200, { status: 'SERVING' }) },
    '/readyz': { isGuarded: false, show: () => readiness(health) },
    '/health': {
      isGuarded: false,
      show(isTrusted) {
        const report = reporter.glance();
        return jsonPage(statusOf(report), glanceOf(report, isTrusted));
      },
    },
    '/health/database': {
      isGuarded: true,
      async show() {
        const report = await reporter.report();
        const message = create(HealthReportSchema, healthMessage(report));
        const json = toJson(HealthReportSchema, message, { alwaysEmitImplicit: true });
        return jsonPage(statusOf(report), json);
      },
    },
    '/health/database/metrics': {
      isGuarded: true,
      show: async () => jsonPage(200, figuresOf(await reporter.report())),
    },
  };
}

/** A standby is enough: who asks wants to know whether to send calls here. */
function readiness({ canRead, canWrite }: Health): PageAnswer {
  const status = canRead ? 'SERVING' : 'NOT_SERVING';
  return jsonPage(canRead ? 200 : 503, { status, read: canRead, write: canWrite });
}

function statusOf({ status }: HealthReport): number {
  return status === 'down' ? 503 : 200;
}

/**
 * For who has the token only: names of nodes, which are addresses, messages, which repeat them, and
 * the version, which tells what to attack.
 */
function glanceOf(report: HealthReport, isTrusted: boolean): object {
  const { status, canRead, canWrite, server, topology, findings } = report;
  return {
    status: status.toUpperCase(),
    read: canRead,
    write: canWrite,
    ...(isTrusted ? { version: server.version } : {}),
    nodes: topology.nodes.map(({ name, state, lagMs, isDrained }) => ({
      ...(isTrusted ? { name } : {}),
      state: state.toUpperCase(),
      ...(lagMs === undefined ? {} : { lagMs: Math.ceil(lagMs) }),
      drained: isDrained,
    })),
    findings: findings.map(({ code, severity, node, message }) => ({
      severity: severity.toUpperCase(),
      code,
      ...(isTrusted ? { node, message } : {}),
    })),
  };
}

function notAllowed(method: string): PageAnswer {
  const message = `${method} is not how a page is asked for; use GET`;
  return { ...jsonPage(405, { message }), headers: { allow: 'GET, HEAD' } };
}

/** Not 503, which says of a page of health that the server is down. */
function crowded(): PageAnswer {
  const message = `${answersMax} answers of the page are on their way; ask again later`;
  return { ...jsonPage(429, { message }), headers: { 'retry-after': '1' } };
}

function unauthenticated(): PageAnswer {
  const message = 'The page is shown to who sends authorization: Bearer with the server’s token.';
  return { ...jsonPage(401, { message }), headers: { 'www-authenticate': 'Bearer' } };
}

function jsonPage(status: number, body: unknown): PageAnswer {
  return { status, contentType: 'application/json', text: `${JSON.stringify(body)}\n` };
}
