/**
 * Figures as Prometheus' text format 0.0.4. OpenTelemetry's own exporter is not used: it leaves the
 * units out of the names, and a scrape of some thousand series held the event loop for 50 ms.
 */

import type { Attributes } from '@opentelemetry/api';
import {
  type DataPoint,
  DataPointType,
  type Histogram,
  type MetricData,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics';
import { type Metric, prometheusName } from './metric.js';
import { type MetricName, metricTable } from './metric-table.js';

/** How each metric is named and introduced, made once. */
const names = new Map(
  Object.entries<Metric>(metricTable).map(([name, metric]) => [name, prometheusName(name, metric)]),
);

/** The figures as text, a family a metric that has a series. */
export function prometheusText({ resource, scopeMetrics }: ResourceMetrics): string {
  let text = head('target_info', 'gauge') + line('target_info', labelsOf(resource.attributes), 1);
  for (const { metrics } of scopeMetrics) {
    for (const data of metrics) text += family(data);
  }
  return text;
}

function family(data: MetricData): string {
  const { name } = data.descriptor;
  const exposed = names.get(name) ?? name;
  switch (data.dataPointType) {
    case DataPointType.HISTOGRAM:
      return (
        head(name, 'histogram') + data.dataPoints.map((point) => buckets(exposed, point)).join('')
      );
    case DataPointType.SUM:
    case DataPointType.GAUGE: {
      const kind = data.dataPointType === DataPointType.SUM ? 'counter' : 'gauge';
      const lines = data.dataPoints.map((point) =>
        line(exposed, labelsOf(point.attributes), point.value),
      );
      return head(name, kind) + lines.join('');
    }
    case DataPointType.EXPONENTIAL_HISTOGRAM:
      throw new Error(`${name}: the table has no such instrument`);
  }
}

function head(name: string, kind: 'counter' | 'gauge' | 'histogram'): string {
  const exposed = names.get(name) ?? name;
  const { help } = metricTable[name as MetricName];
  return `# HELP ${exposed} ${escaped(help)}\n# TYPE ${exposed} ${kind}\n`;
}

function buckets(name: string, { attributes, value }: DataPoint<Histogram>): string {
  const labels = labelsOf(attributes);
  const before = labels === '' ? '' : `${labels},`;
  const { boundaries, counts } = value.buckets;
  let text = '';
  let sum = 0;
  for (const [index, count] of counts.entries()) {
    sum += count;
    text += line(`${name}_bucket`, `${before}le="${boundaries[index] ?? '+Inf'}"`, sum);
  }
  return text + line(`${name}_sum`, labels, value.sum ?? 0) + line(`${name}_count`, labels, sum);
}

function line(name: string, labels: string, value: number): string {
  return labels === '' ? `${name} ${value}\n` : `${name}{${labels}} ${value}\n`;
}

function labelsOf(attributes: Attributes): string {
  return Object.entries(attributes)
    .map(([name, value]) => `${name.replaceAll('.', '_')}="${quoted(String(value))}"`)
    .join(',');
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function quoted(text: string): string {
  return escaped(text).replaceAll('"', '\\"');
}
