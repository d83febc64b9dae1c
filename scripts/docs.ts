// `npm run docs`: renders docs/errors.md, config.md, statements.md and metrics.md from the tables
// in src. With `--check` it writes nothing and fails when a page is not what its table says.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Code } from '../gen/google/rpc/code_pb.js';
import { configTable, type Setting } from '../src/config-table.js';
import { errorTable } from '../src/errors.js';
import { statements } from '../src/postgres/statement.js';
import { type Metric, prometheusLabel, prometheusName } from '../src/telemetry/metric.js';
import { type LabelName, labelTable } from '../src/telemetry/metric-labels.js';
import { metricGroups } from '../src/telemetry/metric-table.js';
import {
  compose,
  enumComments,
  marker,
  renderConfig,
  renderErrors,
  renderMetrics,
  renderStatements,
  type StatementEntry,
} from './lib/docs-pages.js';

interface Page {
  readonly path: string;
  readonly render: () => Promise<string>;
}

const root = join(import.meta.dirname, '..');
const read = (path: string): Promise<string> => readFile(join(root, path), 'utf8');

async function errors(): Promise<string> {
  const proto = await read('proto/stowage/v1/error_reason.proto');
  const comments = enumComments(proto, 'ERROR_REASON_');
  return renderErrors(
    Object.entries(errorTable).map(([reason, { code, retry, sentence }]) => ({
      reason,
      code: Code[code],
      retry,
      sentence,
      comment: comments.get(reason) ?? [],
    })),
  );
}

function config(): Promise<string> {
  const settings: [string, Setting][] = Object.entries(configTable);
  const entries = settings.map(([key, setting]) => ({
    key,
    default: setting.default,
    unit: setting.unit,
    help: setting.help,
    isSecret: setting.secret,
  }));
  return Promise.resolve(renderConfig(entries));
}

/** Imports every file that registers statements; each entry is put down to the file that has it. */
async function registered(): Promise<string> {
  const entries = new Map<string, StatementEntry>();
  for (const path of await filesThatRegister()) {
    const source = await read(path);
    await import(pathToFileURL(join(root, path)).href);
    // A file may be imported by an earlier one: then its text tells whose a statement is.
    for (const { name, intent, text } of statements()) {
      if (entries.has(name) && !source.includes(`name: '${name}'`)) continue;
      entries.set(name, { name, intent, text, file: path });
    }
  }
  return renderStatements([...entries.values()]);
}

async function filesThatRegister(): Promise<string[]> {
  const registers = /\bimport \{[^}]*\bstatement\b[^}]*\} from '[^']*statement\.js'/;
  const paths: string[] = [];
  for (const entry of await readdir(join(root, 'src'), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
    const path = relative(root, join(entry.parentPath, entry.name)).split(sep).join('/');
    if (registers.test(await read(path))) paths.push(path);
  }
  return paths.sort();
}

function metrics(): Promise<string> {
  const groups = Object.entries(metricGroups).map(([title, group]) => {
    const rows = Object.entries<Metric>(group).map(([name, metric]) => ({
      name: prometheusName(name, metric),
      kind: metric.instrument.replace('observable', '').toLowerCase(),
      labels: metric.labels.map(prometheusLabel),
      help: metric.help,
      action: metric.action,
    }));
    return [title, rows] as const;
  });
  const labels = Object.entries(labelTable).map(([name, { help, values }]) => ({
    name: prometheusLabel(name as LabelName),
    help,
    values: typeof values === 'string' ? values : values.map((value) => `\`${value}\``).join(', '),
  }));
  return Promise.resolve(renderMetrics(new Map(groups), labels));
}

const pages: readonly Page[] = [
  {
    path: 'docs/errors.md',
    render: errors,
  },
  {
    path: 'docs/config.md',
    render: config,
  },
  {
    path: 'docs/statements.md',
    render: registered,
  },
  {
    path: 'docs/metrics.md',
    render: metrics,
  },
];

const isCheck = process.argv.includes('--check');
for (const { path, render } of pages) {
  const before = await read(path);
  const after = compose(before, await render());
  if (after === before) continue;
  if (isCheck) {
    console.error(`${path} is not what its table says below "${marker}": run \`npm run docs\`.`);
    process.exitCode = 1;
  } else {
    await writeFile(join(root, path), after);
    console.log(`${path} written`);
  }
}
