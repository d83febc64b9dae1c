// Figures as Prometheus reads them, and the strict reader with which tests read them.
import { describe, expect, it } from 'vitest';
import { prometheusName } from '../../src/telemetry/metric.js';
import type { TopologyLook } from '../../src/telemetry/metric-topology.js';
import { startMetrics } from '../../src/telemetry/metrics.js';
import { Figures } from '../support/prometheus-text.js';

const pool = {
  size: 3,
  idle: 1,
  waiting: 0,
  sizeMax: 5,
  acquires: 7,
  acquireMs: 1500,
  timeouts: 0,
  refusals: 0,
};

const node = (name: string): TopologyLook['nodes'][number] => ({
  name,
  state: 'standby',
  timeline: undefined,
  lagMs: undefined,
  lagBytes: 2n ** 40n,
  isDrained: true,
  pools: { unary: pool, streams: pool, inspection: { ...pool, sizeMax: 1 } },
});

const topologyOf = (...names: string[]): TopologyLook => ({
  nodes: names.map(node),
  primary: undefined,
  epoch: 0,
  hasPrimary: false,
  canRead: true,
});

/** Metrics over a topology that the test changes. */
function metricsOf(topology: () => TopologyLook) {
  const inFlight = () => ({ unary: 1, stream: 2, health: 3 });
  const settings = { serviceName: 'a "quoted"\nname', otlp: undefined };
  const metrics = startMetrics(settings, { topology, inFlight }, undefined);
  return {
    figures: async () => new Figures(await metrics.text()),
    text: metrics.text,
    [Symbol.asyncDispose]: metrics.close,
  };
}

describe('Metrics as text', () => {
  it('tell whatever a node is named', async () => {
    const names = ['a"b', 'c\\d', 'e\nf', 'ü{}=,', ''];
    await using metrics = metricsOf(() => topologyOf(...names));
    const told = await metrics.figures();
    expect([...told.valuesOf('stowage_node_drained', 'stowage_node')]).toEqual(names);
    const looks = { stowage_node: 'a"b', stowage_pool: 'inspection' };
    expect(told.value('db_client_connection_max', looks)).toBe(1);
    expect(told.value('target_info', { service_name: 'a "quoted"\nname' })).toBe(1);
  });

  it('leave out what is not known, and what is gone', async () => {
    let topology = topologyOf('a', 'b');
    await using metrics = metricsOf(() => topology);
    const before = await metrics.figures();
    expect(before.valuesOf('stowage_node_lag_seconds', 'stowage_node').size).toBe(0);
    expect(before.value('stowage_node_lag_bytes', { stowage_node: 'b' })).toBe(2 ** 40);
    topology = topologyOf('a');
    const after = await metrics.figures();
    expect([...after.valuesOf('stowage_node_state', 'stowage_node')]).toEqual(['a']);
    expect(after.sum('db_client_connection_count', { stowage_node: 'b' })).toBe(0);
  });

  it('are taken once for all who ask at a time', async () => {
    let looks = 0;
    await using metrics = metricsOf(() => {
      looks += 1;
      return topologyOf('a');
    });
    const before = looks;
    const texts = await Promise.all(Array.from({ length: 5 }, () => metrics.text()));
    expect(looks - before).toBe(1);
    expect(new Set(texts).size).toBe(1);
  });

  it('have the unit in their name once, and _total where they count', () => {
    const name = (
      metric: string,
      instrument: 'counter' | 'observableGauge',
      unit: 's' | 'By' | '1',
    ) => prometheusName(metric, { instrument, unit, labels: [], help: '', action: '' });
    expect(name('a.b', 'counter', 's')).toBe('a_b_seconds_total');
    expect(name('a.bytes', 'observableGauge', 'By')).toBe('a_bytes');
    expect(name('a', 'observableGauge', '1')).toBe('a_ratio');
    expect(name('a', 'counter', '1')).toBe('a_total');
  });
});

describe('The strict reader', () => {
  const head = '# HELP a Help.\n# TYPE a gauge\n';
  const histogram = (lines: string) => `# HELP h Help.\n# TYPE h histogram\n${lines}`;

  it('takes what keeps the format', () => {
    const told = new Figures(`${head}a{b="\\"\\\\\\n",c=""} 1.5e-7\na 2\n`);
    expect(told.value('a', { b: '"\\\n', c: '' })).toBe(1.5e-7);
    expect(told.sum('a')).toBeCloseTo(2);
    const counted = 'h_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 3\nh_count 2\n';
    expect(new Figures(histogram(counted)).value('h_count')).toBe(2);
  });

  it.each([
    ['no line end', `${head}a 1`],
    ['no type', '# HELP a Help.\na 1\n'],
    ['no help', '# TYPE a gauge\na 1\n'],
    ['a family twice', `${head}a 1\n${head}a 2\n`],
    ['a family without samples', head],
    ['a sample of another family', `${head}b 1\n`],
    ['a series twice', `${head}a{b="1",c="2"} 1\na{c="2",b="1"} 2\n`],
    ['a label twice', `${head}a{b="1",b="2"} 1\n`],
    ['a label without quotes', `${head}a{b=1} 1\n`],
    ['a quote that is not escaped', `${head}a{b="""} 1\n`],
    ['a stray backslash', `${head}a{b="\\x"} 1\n`],
    ['a dot in a label', `${head}a{b.c="1"} 1\n`],
    ['no number', `${head}a one\n`],
    ['a timestamp', `${head}a 1 2\n`],
    ['a blank line', `${head}\na 1\n`],
    ['a counter without _total', '# HELP a Help.\n# TYPE a counter\na 1\n'],
    ['a counter below 0', '# HELP a_total Help.\n# TYPE a_total counter\na_total -1\n'],
    [
      'counts that fall',
      histogram('h_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 3\nh_count 1\n'),
    ],
    [
      'bounds that fall',
      histogram('h_bucket{le="1"} 1\nh_bucket{le="0.5"} 1\nh_sum 3\nh_count 1\n'),
    ],
    ['no last bucket', histogram('h_bucket{le="1"} 1\nh_sum 3\nh_count 1\n')],
    ['another count', histogram('h_bucket{le="+Inf"} 1\nh_sum 3\nh_count 2\n')],
    ['no sum', histogram('h_bucket{le="+Inf"} 1\nh_count 1\n')],
  ])('refuses %s', (_what, text) => {
    expect(() => new Figures(text)).toThrow();
  });
});
