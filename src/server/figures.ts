/**
 * The numbers of a health report, for scripts: one flat object a node, under the names that the
 * messages have for them. Found by their descriptors, so that none can be forgotten.
 */

import { create, type DescMessage, type Message } from '@bufbuild/protobuf';
import { type Timestamp, TimestampSchema } from '@bufbuild/protobuf/wkt';
import {
  HealthReportSchema,
  NodeHealthSchema,
  ServerHealthSchema,
} from '../../gen/stowage/v1/health_pb.js';
import { healthMessage } from '../services/health-messages.js';
import type { HealthReport } from '../store/health/report.js';

/** Truths are 0 and 1, times are seconds since 1970; what is not known is missing. */
export type Figures = Readonly<Record<string, number>>;

/** Every number of a report, the nodes' under their names. */
export function figuresOf(report: HealthReport): Readonly<Record<string, unknown>> {
  const { canRead, canWrite, server, nodes } = create(HealthReportSchema, healthMessage(report));
  const ofNodes = nodes.map((node) => {
    return [node.node?.name ?? '', numbersOf(NodeHealthSchema, node)] as const;
  });
  const isSevere = report.findings.map(({ severity }) => severity === 'error');
  return {
    can_read: Number(canRead),
    can_write: Number(canWrite),
    errors: isSevere.filter((is) => is).length,
    warnings: isSevere.filter((is) => !is).length,
    server: server === undefined ? {} : numbersOf(ServerHealthSchema, server),
    nodes: Object.fromEntries(ofNodes),
  };
}

/** Of lists the length counts; the parts of what the router knows stand beside what a node told. */
function numbersOf(descriptor: DescMessage, message: Message): Figures {
  const figures: Record<string, number> = {};
  for (const { fieldKind, localName, name, message: type } of descriptor.fields) {
    const value = (message as unknown as Readonly<Record<string, unknown>>)[localName];
    if (value === undefined || fieldKind === 'enum') continue;
    if (Array.isArray(value)) {
      figures[name] = value.length;
    } else if (type === undefined) {
      if (typeof value !== 'string') figures[name] = Number(value);
    } else if (type.typeName === TimestampSchema.typeName) {
      figures[name] = secondsOf(value as Timestamp);
    } else {
      const prefix = name === 'node' ? '' : `${name}_`;
      for (const [key, figure] of Object.entries(numbersOf(type, value as Message))) {
        figures[`${prefix}${key}`] = figure;
      }
    }
  }
  return figures;
}

function secondsOf({ seconds, nanos }: Timestamp): number {
  return Number(seconds) + nanos / 1e9;
}
