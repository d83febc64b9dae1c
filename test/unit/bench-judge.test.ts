import { describe, expect, it } from 'vitest';
import { formatNumber, formatTable } from '../../bench/frame/format.js';
import { judge } from '../../bench/frame/judge.js';
import type { Measures, RowSpec, Samples } from '../../bench/frame/lane.js';

const wall: RowSpec = {
  name: 'wall',
  measure: 'wallMs',
  unit: 'ms',
  against: 'copy',
  better: 'lower',
  must: 1.25,
  aim: 1,
};

function samplesOf(subjects: Readonly<Record<string, readonly number[]>>): Samples {
  const measures = (values: readonly number[]): Measures[] =>
    values.map((wallMs) => ({ wallMs, halfMs: wallMs / 2 }));
  return new Map(Object.entries(subjects).map(([name, values]) => [name, measures(values)]));
}

const steady = (value: number) => [value, value, value, value, value];
const verdictOf = (spec: RowSpec, ours: readonly number[]) =>
  judge('export', spec, samplesOf({ ours, copy: steady(100) })).verdict;

describe('bench judge', () => {
  it('divides the medians and names the row by its lane', () => {
    const samples = samplesOf({ ours: [110, 120, 130], copy: [100, 100, 100] });
    expect(judge('export', wall, samples)).toMatchObject({
      ...{ name: 'export.wall', subject: 'ours', value: 120, unit: 'ms', against: 'copy' },
      ...{ baseline: 100, ratio: 1.2, must: 1.25, aim: 1, met: true, verdict: 'must' },
    });
  });

  it('tells the aim from the must and both from neither, at their bounds too', () => {
    expect(verdictOf(wall, steady(100))).toBe('aim');
    expect(verdictOf(wall, steady(125))).toBe('must');
    expect(verdictOf(wall, steady(126))).toBe('missed');
    const higher: RowSpec = { ...wall, better: 'higher', must: 0.4, aim: 0.5 };
    expect(verdictOf(higher, steady(50))).toBe('aim');
    expect(verdictOf(higher, steady(40))).toBe('must');
    expect(verdictOf(higher, steady(39))).toBe('missed');
  });

  it('is unsure of a spread over 20 %, however good the median', () => {
    const row = judge('export', wall, samplesOf({ ours: [50, 60, 80, 90, 95], copy: steady(100) }));
    expect(row).toMatchObject({ verdict: 'unsure', met: false, ratio: 0.8 });
  });

  it('is unsure of too few repetitions', () => {
    const row = judge('export', wall, samplesOf({ ours: [50, 50], copy: [100, 100] }));
    expect(row).toMatchObject({ verdict: 'unsure', met: false, spread: null });
  });

  it('forgives a slow machine that slows both sides', () => {
    const row = judge('export', wall, samplesOf({ ours: [50, 100, 200], copy: [100, 200, 400] }));
    expect(row).toMatchObject({ verdict: 'aim', spread: 0, samples: [0.5, 0.5, 0.5] });
  });

  it('judges the worst repetition where none may pass the bound', () => {
    const { against: _, ...alone } = wall;
    const bound: RowSpec = { ...alone, must: 64, aim: 32, judgedBy: 'worst' };
    expect(judge('export', bound, samplesOf({ ours: [1, 2, 40] }))).toMatchObject({
      ...{ verdict: 'must', value: 2, against: null, baseline: null, ratio: null },
    });
    expect(judge('export', bound, samplesOf({ ours: [1, 2, 65] })).verdict).toBe('missed');
  });

  it('judges the middle half where repetitions differ by their nature', () => {
    const { against: _, ...alone } = wall;
    const spec: RowSpec = { ...alone, must: 100, aim: 50, judgedBy: 'quartiles' };
    const verdict = (ours: readonly number[]) => judge('export', spec, samplesOf({ ours })).verdict;
    expect(verdict([1, 2, 30, 50, 900])).toBe('aim');
    expect(verdict([1, 2, 30, 51, 900])).toBe('must');
    expect(verdict([1, 2, 30, 101, 900])).toBe('unsure');
    expect(verdict([1, 101, 150, 200, 900])).toBe('missed');
    expect(verdict([1, 2])).toBe('unsure');
  });

  it('tells the least and the greatest of the values, not of the ratios', () => {
    const row = judge('export', wall, samplesOf({ ours: [110, 90, 130], copy: [50, 50, 50] }));
    expect(row).toMatchObject({ min: 90, max: 130 });
  });

  it('reports a row without a goal', () => {
    const { must: _, aim: __, ...free } = wall;
    const row = judge('export', free, samplesOf({ ours: [1, 50, 99], copy: steady(100) }));
    expect(row).toMatchObject({ verdict: 'reported', met: null, must: null });
  });

  it('divides by another measure of the other subject', () => {
    const spec: RowSpec = { ...wall, againstMeasure: 'halfMs' };
    expect(
      judge('export', spec, samplesOf({ ours: steady(100), copy: steady(100) })),
    ).toMatchObject({ baseline: 50, ratio: 2 });
  });

  it('divides by the sum of two subjects', () => {
    const samples = samplesOf({ ours: steady(120), echo: steady(20), pool: steady(40) });
    expect(judge('read', { ...wall, against: 'echo+pool' }, samples)).toMatchObject({
      ...{ against: 'echo+pool', baseline: 60, ratio: 2 },
    });
  });

  it('refuses a subject or a measure that is not there', () => {
    const samples = samplesOf({ ours: steady(1) });
    expect(() => judge('export', wall, samples)).toThrow('there is no subject copy');
    const { against: _, ...alone } = wall;
    expect(() => judge('export', { ...alone, measure: 'cpuMs' }, samples)).toThrow(
      'ours does not measure cpuMs',
    );
  });
});

describe('bench table', () => {
  it('shows three significant digits', () => {
    expect([0.012345, 1.2345, 123.45, 12_345.6].map(formatNumber)).toEqual([
      ...['0.0123', '1.23', '123', '12,346'],
    ]);
  });

  it('has a line a row, with bounds and verdict', () => {
    const row = judge('export', wall, samplesOf({ ours: steady(126), copy: steady(100) }));
    const [heading, line] = formatTable([row]).split('\n');
    expect(heading).toMatch(/^row +of +median +min +max +against +ratio/);
    expect(line).toBe(
      'export.wall   5  126 ms  126  126  copy 100   1.26  <= 1.25  <= 1     0 %  MISSED',
    );
  });
});
