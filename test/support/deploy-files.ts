/** The files of deploy/, taken apart as far as tests look into them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');

/** The text of a file of the checkout. */
export const textOf = (path: string): string => readFileSync(join(root, path), 'utf8');

/** An alert of stowage.rules.yml. */
export interface Alert {
  readonly name: string;
  readonly expression: string;
  /** By its key: `for`, `severity`, `summary`, `description`, `runbook`. */
  readonly fields: Readonly<Record<string, string>>;
}

/** The alerts, in the order of the file. */
export function alerts(): Alert[] {
  const [, ...blocks] = textOf('deploy/prometheus/stowage.rules.yml').split('      - alert: ');
  return blocks.map((block) => {
    const fields: Record<string, string> = {};
    // A value stands on its line, or folded on deeper ones below `>-`.
    for (const [, , key = '', inline, folded] of block.matchAll(
      /^( +)(\w+): (?:(?!>-)(.+)|>-\n((?:\1 {2}.*\n)+))/gm,
    )) {
      fields[key] = (inline ?? folded ?? '').replace(/\s+/g, ' ').trim().replace(/^"|"$/g, '');
    }
    const { expr: expression = '', ...others } = fields;
    return { name: block.split('\n', 1)[0] ?? '', expression, fields: others };
  });
}

/** A panel of the dashboard. */
export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

interface Dashboard {
  readonly panels: readonly Panel[];
  readonly annotations: { readonly list: readonly { readonly expr: string }[] };
}

/** The dashboard. */
export function dashboard(): Dashboard {
  return JSON.parse(textOf('deploy/grafana/stowage.json')) as Dashboard;
}

/** An expression of the dashboard as Grafana sends it, with everything chosen. */
export function filledIn(expression: string, job = 'stowage'): string {
  return expression
    .replaceAll('$__rate_interval', '1m')
    .replaceAll('$job', job)
    .replaceAll('$instance', '.*');
}

/** Every expression of the rules and the dashboard, with where it stands. */
export function expressions(): { readonly at: string; readonly expression: string }[] {
  const { panels, annotations } = dashboard();
  return [
    ...alerts().map(({ name, expression }) => ({ at: `the alert ${name}`, expression })),
    ...panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => ({ at: `the panel ${title}`, expression: filledIn(expr) })),
    ),
    ...annotations.list.map(({ expr }) => ({ at: 'an annotation', expression: filledIn(expr) })),
  ];
}

/** The command of the Dockerfile's health check, as it runs. */
export function healthCheck(): string[] {
  const dockerfile = textOf('deploy/docker/Dockerfile').replace(/\\\n\s*/g, '');
  const [, command = '[]'] = /^HEALTHCHECK .*CMD (\[.*\])$/m.exec(dockerfile) ?? [];
  return JSON.parse(command) as string[];
}
