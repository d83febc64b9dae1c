import { describe, expect, it } from 'vitest';
import { median, quantile, spread } from '../../bench/frame/statistics.js';

describe('bench statistics', () => {
  it('take the middle value, or the mean of the two in the middle', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([9, 1, 5, 6])).toBe(5.5);
    expect(median([7])).toBe(7);
  });

  it('leave the values as they were', () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });

  it('draw a line between neighbours for a quantile', () => {
    expect(quantile([10, 20, 30, 40, 50], 0.25)).toBe(20);
    expect(quantile([10, 20], 0.99)).toBeCloseTo(19.9);
  });

  it('refuse no values', () => {
    expect(() => median([])).toThrow('there are no values');
  });

  it('measure the spread between the quartiles, so that one outlier does not decide it', () => {
    expect(spread([98, 99, 100, 101, 102])).toBeCloseTo(0.02);
    expect(spread([98, 99, 100, 101, 900])).toBeCloseTo(0.02);
    expect(spread([50, 60, 100, 140, 150])).toBeCloseTo(0.8);
  });

  it('know no spread of fewer than three values, and a spread of 0 of equal ones', () => {
    expect(spread([1, 2])).toBeUndefined();
    expect(spread([0, 0, 0])).toBe(0);
  });

  it('know no spread around 0, which nothing can be divided by', () => {
    expect(spread([0, 0, 0, 5, 5])).toBeUndefined();
  });
});
