// What stands in deploy/ fits the program: metrics, settings, RPCs, paths and pages. What the real
// tools say of these files is in test/system.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { AdminService } from '../../gen/stowage/v1/admin_service_pb.js';
import { ClusterService } from '../../gen/stowage/v1/cluster_service_pb.js';
import { ProjectService } from '../../gen/stowage/v1/project_service_pb.js';
import { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { configTable } from '../../src/config-table.js';
import { type Metric, prometheusLabel, prometheusName } from '../../src/telemetry/metric.js';
import { metricTable } from '../../src/telemetry/metric-table.js';
import { alerts, dashboard, expressions, healthCheck, textOf } from '../support/deploy-files.js';
import { namesOf } from '../support/promql.js';

/** Every series name of /metrics, and those that Prometheus makes itself, with their labels. */
function knownSeries(): Map<string, ReadonlySet<string>> {
  const known = new Map<string, ReadonlySet<string>>([['up', new Set(['job', 'instance'])]]);
  for (const [name, metric] of Object.entries<Metric>(metricTable)) {
    const labels = ['job', 'instance', ...metric.labels.map(prometheusLabel)];
    const exposed = prometheusName(name, metric);
    if (metric.instrument === 'histogram') {
      known.set(`${exposed}_bucket`, new Set([...labels, 'le']));
      for (const part of ['count', 'sum']) known.set(`${exposed}_${part}`, new Set(labels));
    } else {
      const ofResource = metric.instrument === 'info' ? ['service_version'] : [];
      known.set(exposed, new Set([...labels, ...ofResource]));
    }
  }
  return known;
}

/** What an expression names that is not there. */
function strangers(expression: string, known: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const { selectors, groupings } = namesOf(expression);
  const grouped = new Set(selectors.flatMap(({ metric }) => [...(known.get(metric) ?? [])]));
  return [
    ...selectors.flatMap(({ metric, labels }) => {
      const own = known.get(metric);
      return own === undefined ? [metric] : labels.filter((label) => !own.has(label));
    }),
    ...groupings.filter((label) => !grouped.has(label)),
  ];
}

describe('the expressions of deploy/', () => {
  it('name only metrics of the table, with labels that they have', () => {
    const known = knownSeries();
    const found = expressions().flatMap(({ at, expression }) =>
      strangers(expression, known).map((name) => `${at}: ${name}`),
    );
    expect(found).toEqual([]);
    expect(strangers('sum by (nod) (rate(ups{job="a", le="1"}[5m])) > up{x="up"}', known)).toEqual([
      ...['ups', 'x', 'nod'],
    ]);
  });

  it('leave out the RPCs that are streams where they speak of latency', () => {
    const streams = [StorageService, ClusterService, ProjectService, AdminService]
      .flatMap(({ methods }) => methods)
      .filter(({ methodKind }) => methodKind !== 'unary')
      .map(({ name }) => name)
      .sort();
    const excluded = expressions().flatMap(({ expression }) =>
      [...expression.matchAll(/rpc_method!~"\.\*\/\((.*?)\)"/g)].map(([, names = '']) =>
        names.split('|').filter((name) => name !== 'Watch' && name !== 'ServerReflectionInfo'),
      ),
    );
    expect(excluded.length).toBeGreaterThan(3);
    for (const names of excluded) expect(names.sort()).toEqual(streams);
  });
});

describe('the alerts', () => {
  const all = alerts();

  it('each say how grave they are, since when, what is the matter, and where to read on', () => {
    expect(all.length).toBeGreaterThan(20);
    for (const { name, fields } of all) {
      expect(fields, name).toEqual({
        for: expect.stringMatching(/^\d+[smh]$/),
        severity: expect.stringMatching(/^(?:critical|warning)$/),
        summary: expect.stringMatching(/\w/),
        description: expect.stringMatching(/^[A-Z].*\.$/),
        runbook: `docs/operations.md#${name.toLowerCase()}`,
      });
    }
  });

  it('each have a runbook, in their order', () => {
    const [, page = ''] = textOf('docs/operations.md').split('\n## Alert on it\n');
    const [section = ''] = page.split('\n## ', 1);
    const headings = [...section.matchAll(/^### (\w+)$/gm)].map(([, heading]) => heading);
    expect(headings).toEqual(all.map(({ name }) => name));
  });

  it('each are expected and not expected by a test of promtool’s', () => {
    const tests = textOf('deploy/prometheus/stowage.rules.test.yml').split('\n  - name: ').slice(1);
    for (const { name } of all) {
      const own = tests.filter((test) => new RegExp(`^${name}\\b`).test(test)).join('\n');
      expect(own, name).toContain(`- labels: '{alertname="${name}"`);
      expect(own, name).toContain('exp_samples: []');
    }
  });
});

describe('the dashboard', () => {
  const { panels } = dashboard();

  it('draws every metric of the table', () => {
    const drawn = new Set(
      expressions().flatMap(({ at, expression }) =>
        at.startsWith('the panel')
          ? namesOf(expression).selectors.map(({ metric }) =>
              metric.replace(/_(?:bucket|count|sum)$/, ''),
            )
          : [],
      ),
    );
    const missing = Object.entries<Metric>(metricTable)
      .map(([name, metric]) => prometheusName(name, metric))
      .filter((name) => !drawn.has(name.replace(/_(?:bucket|count|sum)$/, '')));
    expect(missing).toEqual([]);
  });

  it('has room for each of its panels', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const taken = new Map<string, string>();
    for (const { title, gridPos } of panels) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect(taken.get(`${x}/${y}`), title).toBeUndefined();
          taken.set(`${x}/${y}`, title);
        }
      }
    }
  });
});

/** Settings that a file gives, by name. */
const settingsOf = (text: string): string[] =>
  [...text.matchAll(/\b((?:STOWAGE|POSTGRES|OTEL)_[A-Z_]+|DATABASE_URL)=/g)].map(
    ([, name = '']) => name,
  );

describe('the unit and the image', () => {
  const unit = textOf('deploy/systemd/stowage.service');
  const dockerfile = textOf('deploy/docker/Dockerfile');
  const { bin } = JSON.parse(textOf('package.json')) as { bin: { stowage: string } };

  it('give settings that there are, and start the program', () => {
    for (const text of [unit, dockerfile]) {
      const settings = settingsOf(text);
      expect(settings.length).toBeGreaterThan(1);
      for (const name of settings) expect(Object.keys(configTable)).toContain(name);
      expect(text).toContain(`/opt/stowage/${bin.stowage}`);
    }
    for (const key of ['STOWAGE_GRPC_ADDRESS', 'STOWAGE_HTTP_ADDRESS'] as const) {
      const port = configTable[key].default?.split(':')[1];
      expect(dockerfile).toMatch(new RegExp(`${key}=0\\.0\\.0\\.0:${port}\\b`));
      expect(dockerfile).toMatch(new RegExp(`^EXPOSE .*\\b${port}\\b`, 'm'));
    }
    expect(healthCheck().join(' ')).toContain(
      `http://127.0.0.1:${configTable.STOWAGE_HTTP_ADDRESS.default?.split(':')[1]}/livez`,
    );
  });

  it('leave running calls their grace', () => {
    const graceMs = Number(configTable.STOWAGE_SHUTDOWN_GRACE_MS.default);
    const [, seconds] = /^TimeoutStopSec=(\d+)$/m.exec(unit) ?? [];
    expect(Number(seconds) * 1000).toBeGreaterThan(graceMs + 10_000);
  });

  it('copy what is there and what the build may read, and nothing else', () => {
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(
      ([, list = '']) => list.split(' '),
    );
    for (const path of copied)
      expect(existsSync(join(import.meta.dirname, '../..', path))).toBe(true);
    const allowed = textOf('deploy/docker/Dockerfile.dockerignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(allowed[0]).toBe('*');
    expect(new Set(allowed.slice(1))).toEqual(new Set(copied.map((path) => `!${path}`)));
  });
});
