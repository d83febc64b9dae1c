/**
 * Prometheus' text format 0.0.4, read strictly: what a lenient parser would let pass is an error
 * here. Knows the kinds that the product tells: counters, gauges and histograms.
 */

import { parseLabels } from './prometheus-labels.js';

/** One line of a family. */
interface Sample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

interface Family {
  readonly name: string;
  readonly type: string;
  readonly samples: Sample[];
}

/** Labels that a sample must have, among others that it may have; undefined: it must not. */
type Labels = Readonly<Record<string, string | undefined>>;

/** What one scrape told. */
export class Figures {
  readonly #families: ReadonlyMap<string, Family>;
  /** Of every series its name and labels, sorted. */
  readonly series: readonly string[];

  /** @throws Error at the first line that breaks the format. */
  constructor(text: string) {
    this.#families = parse(text);
    const samples = [...this.#families.values()].flatMap((family) => family.samples);
    this.series = samples.map(identityOf).sort();
    const twice = this.series.find((each, at) => each === this.series[at - 1]);
    if (twice !== undefined) throw new Error(`a series is told twice: ${twice}`);
  }

  /** The families with their types, in the order of the text. */
  get families(): readonly { readonly name: string; readonly type: string }[] {
    return [...this.#families.values()].map(({ name, type }) => ({ name, type }));
  }

  /** The sum of all samples of a name that have the labels; 0 where there are none. */
  sum(name: string, labels: Labels = {}): number {
    return this.#matching(name, labels).reduce((sum, { value }) => sum + value, 0);
  }

  /** The value of the one sample that has the labels. @throws Error where there is not one */
  value(name: string, labels: Labels = {}): number {
    const [sample, ...others] = this.#matching(name, labels);
    if (sample === undefined || others.length > 0) {
      const count = others.length + (sample === undefined ? 0 : 1);
      throw new Error(`${count} samples are ${name} ${JSON.stringify(labels)}`);
    }
    return sample.value;
  }

  /** The different values of a label in a family. */
  valuesOf(name: string, label: string): ReadonlySet<string> {
    return new Set(this.#matching(name, {}).flatMap(({ labels }) => labels.get(label) ?? []));
  }

  /** The names of the labels that samples of a family have, sorted. */
  labelsOf(name: string): readonly string[] {
    const samples = this.#families.get(name)?.samples ?? [];
    return [...new Set(samples.flatMap(({ labels }) => [...labels.keys()]))].sort();
  }

  #matching(name: string, labels: Labels): Sample[] {
    const family = this.#families.get(name) ?? this.#families.get(baseOf(name));
    return (family?.samples ?? []).filter(
      (sample) =>
        sample.name === name &&
        Object.entries(labels).every(([label, value]) => sample.labels.get(label) === value),
    );
  }
}

/** An answer that takes longer is none; far more than Prometheus is patient with. */
const scrapeTimeoutMs = 20_000;

/** Scrapes a server. @throws Error unless it answers 200 with a text that keeps the format */
export async function scrape(httpUrl: string, token?: string): Promise<Figures> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const answer = await fetch(`${httpUrl}/metrics`, {
    headers,
    signal: AbortSignal.timeout(scrapeTimeoutMs),
  });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`/metrics answers ${answer.status}: ${text}`);
  return new Figures(text);
}

const suffix = /_(?:bucket|sum|count)$/;
const baseOf = (name: string): string => name.replace(suffix, '');
const nameForm = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

function identityOf({ name, labels }: Sample): string {
  return JSON.stringify([name, ...[...labels].map(([label, value]) => `${label}=${value}`).sort()]);
}

function parse(text: string): ReadonlyMap<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the text does not end with a line end');
  const families = new Map<string, Family>();
  let help: string | undefined;
  let family: Family | undefined;
  for (const line of text.slice(0, -1).split('\n')) {
    if (line.startsWith('# HELP ')) {
      help = helpOf(line, families);
      family = undefined;
    } else if (line.startsWith('# TYPE ')) {
      family = typeOf(line, help);
      families.set(family.name, family);
    } else if (family === undefined) {
      throw new Error(`a sample before its type: ${line}`);
    } else {
      family.samples.push(sampleOf(line, family));
    }
  }
  for (const each of families.values()) check(each);
  return families;
}

function helpOf(line: string, families: ReadonlyMap<string, Family>): string {
  const [, name = '', sentence = ''] = /^# HELP (\S+) (.*)$/.exec(line) ?? [];
  if (!nameForm.test(name) || sentence === '') throw new Error(`no help: ${line}`);
  if (/\\(?![\\n])/.test(sentence)) throw new Error(`a help with a stray backslash: ${line}`);
  if (families.has(name)) throw new Error(`a family is told twice: ${name}`);
  return name;
}

function typeOf(line: string, help: string | undefined): Family {
  const [, name = '', type = ''] = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line) ?? [];
  if (name === '' || name !== help)
    throw new Error(`a type that does not follow its help: ${line}`);
  if (name.endsWith('_total') !== (type === 'counter')) {
    throw new Error(`_total is for counters, and for each of them: ${line}`);
  }
  return { name, type, samples: [] };
}

function sampleOf(line: string, family: Family): Sample {
  const [, name = '', inner, number = ''] = /^([^{ ]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
  const isOfFamily =
    family.type === 'histogram'
      ? suffix.test(name) && baseOf(name) === family.name
      : name === family.name;
  if (!isOfFamily) throw new Error(`no sample of ${family.name}: ${line}`);
  const isNumber = /^(?:[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?)|[+-]Inf|NaN)$/.test(number);
  if (!isNumber) throw new Error(`no number: ${line}`);
  const value = Number(number.replace('Inf', 'Infinity'));
  return { name, labels: parseLabels(inner), value };
}

function check({ name, type, samples }: Family): void {
  if (samples.length === 0) throw new Error(`${name} has no sample`);
  if (type === 'counter' && samples.some(({ value }) => !(value >= 0))) {
    throw new Error(`${name} counts less than nothing`);
  }
  if (type !== 'histogram') return;
  const byLabels = new Map<string, Sample[]>();
  for (const sample of samples) {
    const key = JSON.stringify([...sample.labels].filter(([label]) => label !== 'le').sort());
    byLabels.set(key, [...(byLabels.get(key) ?? []), sample]);
  }
  for (const [labels, group] of byLabels) checkHistogram(`${name} ${labels}`, name, group);
}

/** Bounds rise to infinity, counts never fall, and the last is the count. */
function checkHistogram(what: string, name: string, samples: readonly Sample[]): void {
  const buckets = samples.filter((sample) => sample.name === `${name}_bucket`);
  const rest = samples.filter((sample) => sample.name !== `${name}_bucket`);
  const counts = rest.filter((sample) => sample.name === `${name}_count`);
  if (counts.length !== 1 || rest.length !== 2) throw new Error(`${what}: one sum, one count`);
  let before = { bound: Number.NEGATIVE_INFINITY, value: 0 };
  for (const { labels, value } of buckets) {
    const bound = Number(labels.get('le')?.replace('Inf', 'Infinity'));
    if (!(bound > before.bound)) throw new Error(`${what}: bounds do not rise at ${bound}`);
    if (!(value >= before.value)) throw new Error(`${what}: counts fall at ${bound}`);
    before = { bound, value };
  }
  if (before.bound !== Number.POSITIVE_INFINITY) throw new Error(`${what}: no bucket for the rest`);
  if (before.value !== counts[0]?.value) throw new Error(`${what}: the count is another`);
}
